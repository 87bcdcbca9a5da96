"""Figure 1: linear models."""
