"""What the docs show is run."""
