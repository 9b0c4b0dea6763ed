"""Measurements: ratios in one run on one machine. No test is timed; these are run by hand or by make."""
