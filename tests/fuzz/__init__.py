"""Values that nobody thought of."""
