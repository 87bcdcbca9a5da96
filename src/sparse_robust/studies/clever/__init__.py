"""Table 3: CLEVER scores."""
