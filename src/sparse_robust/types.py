"""The vocabulary that every room of the package shares: axes, logits functions, the box.

Axes, by their letters, as they appear in shape comments throughout:

====  ==========================================================================
R     replicas: independent models, one per seed
N     examples
D     input coordinates; ``*D`` is the shape of one input, for example (28, 28)
K     classes
====  ==========================================================================
"""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

LogitsFn = Callable[[Tensor], Tensor]
"""Logits of a batch: ``[N, *D] -> [N, K]`` for one model, ``[R, N, *D] -> [R, N, K]`` for replicas.

Example n of the output depends on example n of the input alone, in evaluation mode and without
side effects; replica r of the output depends on replica r of the model alone.
"""

Box = tuple[float, float] | None
"""The range ``(low, high)`` that every input coordinate must stay in; None means no constraint."""


class Linearised(Protocol):
    """A model linearised at inputs [R, N, *D], with one forward pass behind it.

    Attributes:
        logits: [R, N, K], without a graph.
    """

    logits: Tensor

    def gradient(self, weight: Tensor, index: Tensor | None = None) -> Tensor:
        """The gradient of sum_k weight_k logit_k by the input, contiguous [R, W, *D].

        Args:
            weight: [R, W, K].
            index: [R, W], of which examples; of all, W = N, unless given.
        """

    def length_bounds(self, weights: Tensor) -> Tensor | None:
        """Upper bounds [R, N, C] of the l_2 norms of such gradients, for weights [R, N, C, K].

        None where they take as long as the gradients themselves.
        """
