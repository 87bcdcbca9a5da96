"""Table 1: activation sparsity."""
