"""DPO training with OpenRLHF: preparing the data, running the trainer and parsing its log."""
