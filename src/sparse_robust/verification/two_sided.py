"""Two-sided r_inf and r_2 of a network: what is certain, what an attack shows, and what lies between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from sparse_robust.attacks import AttackResult
from sparse_robust.types import Box, LogitsFn

from .decisions import Attack, Decisions, decide, lone_logits, misclassified, one_step
from .milp import Solver
from .network import is_dense, stages
from .radius import MinimalAttack, attack_radius, certified_radius, deepfool_in_box


@dataclass(frozen=True, eq=False)
class VerificationResult:
    """What is known of N images, image by image.

    Attributes:
        eps: the l_inf radii, rising, in pixel units.
        correct: bool ``[N]``, whether the network classifies the image itself rightly.
        decisions: one for each of ``eps``.
        certified: float64 ``[N]``, an l_2 radius without misclassified inputs; 0 where not correct.
        attacked: float64 ``[N]``, the l_2 distance of the nearest misclassified input that any attack or the
            solver found: 0 where not correct, infinite where there was none.
    """

    eps: tuple[float, ...]
    correct: Tensor
    decisions: tuple[Decisions, ...]
    certified: Tensor
    attacked: Tensor

    def r_inf(self, eps: float) -> dict[str, Tensor]:
        """Numbers of every image at one radius, float64 ``[N]`` each; their means are what is reported.

        - certified: 1 where robust; the mean is at most the exact r_inf;
        - attacked: 1 where no attack was found; the mean is at least the exact r_inf, and equal to that of
          ``certified`` where every image is decided;
        - decided: 1 where it is one or the other;
        - unstable: ReLUs that may be in either state;
        - solver_seconds: CPU time of the solver, 0 where it was not needed.

        Raises:
            ValueError: if this radius was not verified.
        """
        if eps not in self.eps:
            raise ValueError(f"eps {eps} was not verified, only {self.eps}")
        at = self.decisions[self.eps.index(eps)]
        return {
            "certified": at.robust.double(),
            "attacked": (~at.attacked).double(),
            "decided": (~at.open).double(),
            "unstable": at.unstable.double(),
            "solver_seconds": at.solver_seconds,
        }

    def r_2(self) -> dict[str, Tensor]:
        """``certified`` and ``attacked`` ``[N]``: the means bound r_2 in the box from below and above."""
        return {"certified": self.certified, "attacked": self.attacked}


def verify(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float | Sequence[float],
    seconds: float | None = 30.0,
    nodes: int | None = None,
    box: Box = (0.0, 1.0),
    attack: Attack = one_step,
    minimal_attack: MinimalAttack = deepfool_in_box,
    progress: Callable[[int], object] = lambda images: None,
) -> VerificationResult:
    """Attack first, then bounds, then the solver for what is open; r_2 between certified radius and attack.

    Image n's result depends on image n alone, but for what a time limit cuts off, so a data set may be done
    in parts. An attack that succeeds at one radius counts at all larger ones. For a network with convolutions
    there are bounds and attacks alone.

    Args:
        model: a LeNet-300-100 or a LeNet-5 with one replica, see :func:`~.network.replica`.
        x: ``[N, D]``, floating point, in the box.
        y: the true classes ``[N]``.
        eps: one or more l_inf radii, pixel units.
        seconds: CPU time of the solver for one image and radius at most; None for no limit.
        nodes: of the solver's trees for one image and radius at most; None for no limit. A limit in nodes,
            unlike one in seconds, gives the same answers on every machine.
        box: (low, high) or None.
        attack: in l_inf, see :data:`~.decisions.Attack`.
        minimal_attack: in l_2, see :data:`~.radius.MinimalAttack`.
        progress: called with 1 for each image at each radius, and with N for the distances.

    Raises:
        ValueError: as :func:`~.decisions.decide`.

    Reference: paper, section 3.1, for r_inf and r_2; Tjeng, Xiao, Tedrake 2019, for the order of attack,
    bounds and solver.
    """
    radii = tuple(sorted({eps} if isinstance(eps, float | int) else set(eps)))
    solver = Solver(seconds, nodes) if is_dense(stages(model)) else None
    decisions: list[Decisions] = []
    for radius in radii:
        tried = _or_earlier(attack, decisions[-1]) if decisions else attack
        decision = decide(model, x, y, eps=radius, box=box, attack=tried, solver=solver, progress=progress)
        decisions.append(decision)
    distance = attack_radius(model, x, y, box=box, attack=minimal_attack)
    for at in decisions:
        length = (at.x_adv.double() - x.double()).flatten(1).norm(dim=1)
        distance = torch.where(at.attacked, torch.minimum(distance, length), distance)
    certified = certified_radius(model, x, y, distance, box=box)
    progress(len(x))
    correct = ~misclassified(lone_logits(model), x, y)
    return VerificationResult(radii, correct, tuple(decisions), certified, distance)


def _or_earlier(attack: Attack, earlier: Decisions) -> Attack:
    """The attack, or where it fails what succeeded at a smaller radius."""

    def tried(logits_fn: LogitsFn, x: Tensor, y: Tensor, eps: float, box: Box) -> AttackResult:
        result = attack(logits_fn, x, y, eps, box)
        better = earlier.attacked & ~result.flipped
        return replace(result, x_adv=torch.where(better[:, None], earlier.x_adv, result.x_adv))

    return tried
