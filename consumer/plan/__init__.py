"""How many replicas, how many threads, what size of batch: measured on this machine, and computed from that."""
