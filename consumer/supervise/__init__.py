"""Several workers on one machine: processes of their own, kept running and ended by one that does nothing else."""
