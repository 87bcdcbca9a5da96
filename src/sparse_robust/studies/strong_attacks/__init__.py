"""Beyond the paper: stronger attacks along the pruning path."""
