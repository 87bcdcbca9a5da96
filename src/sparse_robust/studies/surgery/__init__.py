"""Over-pruning by surgery of our own."""
