"""Beyond the paper: exact and two-sided robustness along the pruning path."""
