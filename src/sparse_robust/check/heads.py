"""Last operators that turn logits into probabilities: left out, as attacks need logits.

A softmax or a sigmoid saturates, and then no gradient is left in float32. It keeps the order of the classes,
so the classifier stays the same without it. So do whatever increasing functions follow: a clip to
[1e-7, 1 - 1e-7], a logarithm, a factor.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .graph import Graph, Step, cut
from .model import ModelError

SATURATING = {
    **{"Softmax": "softmax", "Sigmoid": "sigmoid", "Tanh": "tanh", "HardSigmoid": "hard sigmoid"},
    **{"softmax.int": "softmax", "_softmax.default": "softmax", "sigmoid.default": "sigmoid"},
    **{"sigmoid_.default": "sigmoid", "tanh.default": "tanh", "tanh_.default": "tanh"},
    **{"hardsigmoid.default": "hard sigmoid", "hardsigmoid_.default": "hard sigmoid"},
}
"""Operators that are left out at the end of a network, and what to call them."""

PROBE = torch.linspace(0.1, 0.9, 5)
"""Numbers in the order of their size, within the range of every function that may follow a softmax."""


def without_head(graph: Graph) -> tuple[Graph, str | None]:
    """The graph up to its logits, and what to say of what was left out."""
    computes = {name: step for step in graph.steps for name in step.outputs}
    name, head, left_out = graph.output, graph.output, []
    while (step := computes.get(name)) is not None:
        data = [source for source in step.inputs if source not in graph.constants]
        if step.operator in SATURATING and len(data) == 1:
            head = name = data[0]
            left_out.append(SATURATING[step.operator])
        elif len(data) == 1 and (step.rearranges or _increases(step, data[0], graph.constants)):
            name = data[0]
        else:
            break
    if not left_out:
        return graph, None
    said = " and its ".join(reversed(left_out))
    return cut(graph, head), f"its last {said} is left out: attacks need logits, whose order is the same"


def check_head(whole: Graph, network: Graph, x: Tensor) -> None:
    """Refuse a network whose logits for ``x`` [N, *D] decide otherwise than its own output does.

    Args:
        whole: the network with its head.
        network: the same without it.
        x: some examples.

    Raises:
        ModelError: if an output depends on the other examples, or the class of the largest logit is not that
            of the largest output.
    """
    if whole is network:
        return
    values, alone = (whole.evaluate(part, (whole.output,))[0].flatten(1) for part in (x, x[:1]))
    logits = network.evaluate(x, (network.output,))[0].flatten(1)
    if values.shape == logits.shape and torch.allclose(alone, values[:1], rtol=1e-3, atol=1e-4):
        chosen = values.gather(1, logits.argmax(1, keepdim=True)).squeeze(1)
        if torch.allclose(chosen, values.amax(1), rtol=1e-5, atol=1e-6):
            return
    raise ModelError(
        "ends in a softmax or sigmoid over another axis than the classes; hand over the network without it"
    )


def _increases(step: Step, data: str, constants: Any) -> bool:
    """Whether a step is a function of each number by itself, and increasing: tried on numbers."""
    try:
        for probe in (PROBE, torch.cat([PROBE, PROBE[-1:]])):  # two lengths: no vector of factors fits both
            result = step.function({**constants, data: probe.unsqueeze(0)})
            if not isinstance(result, Tensor) or result.shape != (1, len(probe)):
                return False
            gaps = result[0].diff()
            if not (gaps[:4] > 0).all() or not (gaps[4:] == 0).all():
                return False
    except Exception:  # it does not take two axes, or numbers at all: then it is no such function
        return False
    return True


__all__ = ["SATURATING", "check_head", "without_head"]
