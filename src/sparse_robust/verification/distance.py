"""The distance of the nearest misclassified input in l_inf: attacks above, bounds and solver below."""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor, nn

from sparse_robust.types import Box

from .decisions import Attack, decide, inside, lone_logits, misclassified, one_step
from .milp import Solver
from .neighbourhood import Neighbourhood


def attacked_distance(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    reach: float,
    *,
    steps: int = 8,
    box: Box = (0.0, 1.0),
    attack: Attack = one_step,
) -> Tensor:
    """||x_adv - x||_inf of the nearest misclassified input that an attack finds, float64 ``[N]``.

    By bisection over the radius of the attack, up to ``reach``; infinite where it finds nothing, and 0
    where the image itself is misclassified.

    Args:
        model: a network with one replica.
        x: ``[N, D]``, in the box.
        y: the true classes ``[N]``.
        reach: the largest radius to try, pixel units.
        steps: of the bisection; the first is at ``reach``.
        box: (low, high) or None.
        attack: in l_inf.
    """
    logits = lone_logits(model)
    distance = torch.full((len(x),), inf, dtype=torch.float64)
    for n in range(len(x)):
        image, label = x[n : n + 1], y[n : n + 1]
        low, high, radius = 0.0, inf, reach
        for _ in range(steps):
            ball = Neighbourhood(image.double(), torch.tensor([radius], dtype=torch.float64), inf, box)
            point = inside(ball, attack(logits, image, label, radius, box).x_adv)
            if misclassified(logits, point, label)[0]:
                high = float((point.double() - image.double()).abs().max())
            elif radius == reach:
                break
            else:
                low = radius
            radius = (low + high) / 2
        distance[n] = high
    return distance.masked_fill(misclassified(logits, x, y), 0.0)


def exact_distance(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    certified: Tensor,
    attacked: Tensor,
    reach: float,
    *,
    tolerance: float,
    solver: Solver,
    box: Box = (0.0, 1.0),
) -> tuple[Tensor, Tensor]:
    """The distance in l_inf, capped at ``reach``, between two numbers, float64 ``[N]`` each.

    Bisection by :func:`~.decisions.decide` until they are within ``tolerance`` of each other, or a decision
    is open. Both are ``reach`` where every input within it is classified rightly.

    Args:
        model: a LeNet-300-100 with one replica.
        x: ``[N, D]``, in the box.
        y: the true classes ``[N]``.
        certified: radii without misclassified inputs ``[N]``.
        attacked: distances of misclassified inputs ``[N]``, infinite where none is known.
        reach: pixel units.
        tolerance: of the result, pixel units.
        solver: limits for every decision.
        box: (low, high) or None.
    """
    low, high = certified.clamp(max=reach), attacked.clamp(max=reach)
    for n in range(len(x)):
        image, label = x[n : n + 1], y[n : n + 1]
        radius = reach if attacked[n] > reach else float(low[n] + high[n]) / 2
        while high[n] - low[n] > tolerance:
            answer = decide(model, image, label, eps=radius, box=box, solver=solver)
            if answer.open[0]:
                break
            if answer.robust[0]:
                low[n] = radius
            else:
                high[n] = float((answer.x_adv.double() - image.double()).abs().max())
            radius = float(low[n] + high[n]) / 2
    return low, high
