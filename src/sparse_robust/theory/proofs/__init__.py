"""One module per theorem; importing this package registers every claim, in the order of the book."""

# ruff: noqa: I001 (the order is that of the book)
from . import gaussian as gaussian, gaussian_pruning as gaussian_pruning
