"""The configuration and the model registry: their sections, what is checked when they are loaded, their reference."""
