"""The model: its bytes, tensors and interpreters, and what the load probe found. The only importer of engines."""
