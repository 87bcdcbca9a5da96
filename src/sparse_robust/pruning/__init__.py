"""Which weights to keep: masks and the rules that shrink them."""

from .magnitude import dense_masks, kept_after, prune, prune_layers

__all__ = ["dense_masks", "kept_after", "prune", "prune_layers"]
