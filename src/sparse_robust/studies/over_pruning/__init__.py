"""Table 2: the authors' own models."""
