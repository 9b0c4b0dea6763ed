"""Odd little models, and the script that made them."""
