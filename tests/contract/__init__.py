"""What every implementation of a seam is held to."""
