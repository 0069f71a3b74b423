"""DPO training by OpenRLHF: its data, its process, its log."""
