"""The ways of deploying, checked as far as that goes without an engine or a cluster."""
