"""What a worker lives through: short here, long by `make chaos`."""
