"""What is certain about a population: two-sided r_inf and r_2, and certificates beside exact distances."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

import torch
from torch import Tensor, nn

from sparse_robust import metrics
from sparse_robust.attacks import (
    AttackResult,
    adaptive_projected_gradient_descent,
    minimal_l2,
    projected_gradient_descent,
)
from sparse_robust.types import Box, LogitsFn
from sparse_robust.verification import decide, replica
from sparse_robust.verification.distance import attacked_distance, exact_distance
from sparse_robust.verification.milp import Solver
from sparse_robust.verification.radius import attack_radius, certified_radius

from .clever_scores import certified, perceptron, scores
from .contract import BOX, Measurement, Options, Progress, Setting, Subject, Values

R_INF_METRICS = (
    *("r_inf_bounds", "r_inf_certified", "r_inf_attacked", "decided"),
    *("unstable", "solver_share", "solver_seconds"),
)
R_2_METRICS = ("r_2_certified", "r_2_attacked")
CERTIFICATE_METRICS = (
    *("gamma_global", "gamma_interval", "crown", "distance_low", "distance_high", "attack"),
    *("clever", "clever_above", "clever_below"),
)

TOLERANCE = 1e-3
"""How far apart the two sides of an exact l_inf distance may be, pixel units: a quarter of a grey level."""


def strongest(logits_fn: LogitsFn, x: Tensor, y: Tensor, eps: float, box: Box) -> AttackResult:
    """PGD, and where it fails APGD, with their usual steps, as the verifier takes attacks."""
    first = projected_gradient_descent(logits_fn, x, y, eps=eps, box=box)
    second = adaptive_projected_gradient_descent(logits_fn, x, y, eps=eps, box=box)
    x_adv = torch.where(first.flipped[:, None], first.x_adv, second.x_adv)
    return AttackResult(
        x_adv, first.flipped | second.flipped, torch.where(first.flipped, first.radius, second.radius)
    )


def nearest(logits_fn: LogitsFn, x: Tensor, y: Tensor, box: Box) -> AttackResult:
    """The minimal-norm attack, as the verifier takes attacks."""
    return minimal_l2(logits_fn, x, y, box=box)


def lone(subject: Subject) -> Iterator[nn.Module]:
    """The replicas, one model for each."""
    return (replica(subject.model, r) for r in range(len(subject.seeds)))


def limits(options: Options) -> Solver:
    """The limits of the solver for one image that ``options`` name: seconds, nodes, unstable."""
    whole = {name: int(options[name]) for name in ("nodes", "unstable") if name in options}
    return Solver(seconds=options.get("seconds"), **whole)


def two_sided_r_inf(name: str) -> Measurement:
    """Every number of :data:`R_INF_METRICS` at the setting's eps: means over the images.

    - r_inf_bounds: certified by bounds alone;
    - r_inf_certified: certified by bounds or solver, at most the exact r_inf;
    - r_inf_attacked: 1 less the share attacked, at least the exact r_inf;
    - decided: certified or attacked; where it is 1, the two agree and are exact;
    - unstable: ReLUs that may be in either state by CROWN's bounds;
    - solver_share: images that the solver was asked about;
    - solver_seconds: its CPU time for an image, 0 where it was not asked.
    """

    def measure(setting: Setting, subject: Subject, options: Options, progress: Progress) -> Values:
        columns: dict[str, list[Tensor]] = {metric: [] for metric in R_INF_METRICS}
        for model in lone(subject):
            at = decide(
                model,
                subject.x,
                subject.y,
                eps=setting.eps,
                box=BOX,
                attack=strongest,
                solver=limits(options),
                progress=progress,
            )
            numbers = (
                *(at.robust & ~at.by_solver, at.robust, ~at.attacked, ~at.open),
                *(at.unstable, at.by_solver, at.solver_seconds),
            )
            for metric, number in zip(R_INF_METRICS, numbers, strict=True):
                columns[metric].append(number.double())
        return {(metric, name): metrics.estimate(torch.stack(rows)) for metric, rows in columns.items()}

    return Measurement(lambda setting: [(metric, name) for metric in R_INF_METRICS], measure)


def two_sided_r_2(name: str) -> Measurement:
    """Every number of :data:`R_2_METRICS`: mean distances in the box that bound the exact one.

    Below, the largest radius up to the attack's that CROWN certifies; above, :func:`nearest`. Misclassified
    images count 0.
    """

    def measure(setting: Setting, subject: Subject, options: Options, progress: Progress) -> Values:
        rows = []
        for model in lone(subject):
            high = attack_radius(model, subject.x, subject.y, box=BOX, attack=nearest)
            low = certified_radius(model, subject.x, subject.y, high, box=BOX)
            rows.append((low, high))
            progress(len(subject.y))
        sides = (torch.stack(side) for side in zip(*rows, strict=True))
        return {
            (metric, name): metrics.estimate(side) for metric, side in zip(R_2_METRICS, sides, strict=True)
        }

    return Measurement(lambda setting: [(metric, name) for metric in R_2_METRICS], measure)


def certificates(name: str, p: float) -> Measurement:
    """Every number of :data:`CERTIFICATE_METRICS`, on the same images: means, misclassified ones counting 0.

    No radius is larger than that of CLEVER's ball, which all are cut off at.

    - gamma_global, gamma_interval: the certified radii of :mod:`.clever_scores`;
    - crown: the largest radius that CROWN certifies;
    - distance_low, distance_high: the exact distance lies between them, the largest certificate and the
      attack at first; for p = infinity the solver narrows the gap to :data:`TOLERANCE` where it can;
    - attack: the distance of the nearest misclassified input that :func:`strongest` or :func:`nearest` finds;
    - clever: the score;
    - clever_above: 1 where it is above distance_high, and so above the exact distance;
    - clever_below: 1 where it is at most distance_low, and so at most the exact distance.

    Args:
        name: of the estimate.
        p: 2 or infinity.
    """

    def measure(setting: Setting, subject: Subject, options: Options, progress: Progress) -> Values:
        x, y, radius = subject.x, subject.y, float(options["radius"])
        result = scores(subject, options, p, progress)
        points, labels = x.double().cpu().numpy(), [int(label) for label in y]
        rows = []
        for r, model in enumerate(lone(subject)):
            net = perceptron(model, 0)
            radii = certified(net, points, labels, result.margin[r], p, radius)
            gammas = [torch.tensor(values, dtype=torch.float64) for values in radii]
            attack, crown = bracket(model, x, y, p, radius)
            low, high = torch.stack([*gammas, crown]).amax(0), attack.clamp(max=radius)
            if p == inf:
                solver = limits(options)
                low, high = exact_distance(
                    model, x, y, low, attack, radius, tolerance=TOLERANCE, solver=solver, box=BOX
                )
            score = result.score[r].double()
            numbers = (*gammas, crown, low, high, attack.clamp(max=radius), score, score > high, score <= low)
            rows.append(torch.stack([number.double() for number in numbers]))
        columns = torch.stack(rows, 1)
        return {
            (metric, name): metrics.estimate(column)
            for metric, column in zip(CERTIFICATE_METRICS, columns, strict=True)
        }

    return Measurement(lambda setting: [(metric, name) for metric in CERTIFICATE_METRICS], measure)


def bracket(model: nn.Module, x: Tensor, y: Tensor, p: float, radius: float) -> tuple[Tensor, Tensor]:
    """An attack's distance, infinite where it finds nothing, and what CROWN certifies, [N] each."""
    if p == 2:
        attack = attack_radius(model, x, y, box=BOX, attack=nearest)
    else:
        attack = attacked_distance(model, x, y, radius, box=BOX, attack=strongest)
    return attack, certified_radius(model, x, y, attack.clamp(max=radius), p=p, box=BOX)
