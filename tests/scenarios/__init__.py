"""One file, one sentence about `onelane run`, held against a real broker."""
