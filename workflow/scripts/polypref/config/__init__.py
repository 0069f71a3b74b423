"""The configuration and the model registry: pydantic sections, validation at loading, and the generated reference."""
