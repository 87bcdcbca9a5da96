"""Which weights to keep: masks and the rules that change them."""

from .magnitude import dense_masks, kept_after, prune, prune_at_random, prune_layers
from .surgery import Operation, Surgery, calendar, cut_and_splice, thresholds

__all__ = [
    "Operation",
    "Surgery",
    "calendar",
    "cut_and_splice",
    "dense_masks",
    "kept_after",
    "prune",
    "prune_at_random",
    "prune_layers",
    "thresholds",
]
