"""Bytes to typed fields, and outputs to bytes. Knows no tensors and no topics."""
