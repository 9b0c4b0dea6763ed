"""For those who write pipelines: what is wrong with a file, what a sample of events says of it."""
