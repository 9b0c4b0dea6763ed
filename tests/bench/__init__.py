"""That the comparison compares like with like."""
