"""r_2: the mean distance at which an attack of minimal norm crosses the boundary (DeepFool, C&W)."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from sparse_robust import metrics
from sparse_robust.attacks import AttackResult
from sparse_robust.metrics import Estimate

from . import first_step
from .contract import (
    BOX,
    Measurement,
    MetricName,
    Options,
    Progress,
    Setting,
    Subject,
    Values,
    exact_convolutions,
)


def minimal_norm(
    name: str, attack: Callable[..., AttackResult], *, in_box: bool, traces_failures: bool = False
) -> Measurement:
    """r_2, the mean squared distance and the failures under an attack of the family.

    Args:
        name: of the attack.
        attack: it.
        in_box: whether it keeps to the box of the pixels.
        traces_failures: whether, for the networks for colour images, more is reported of an attack than how
            often it fails (:mod:`.first_step`).
    """

    def names(setting: Setting) -> list[MetricName]:
        more = first_step.names(setting.classes) if traces_failures and setting.network.colour else []
        return [(metric, name) for metric in ("r_2", "r_2_squared", "failures", *more)]

    def measure(setting: Setting, subject: Subject, options: Options, progress: Progress) -> Values:
        model, read = subject.attacked(setting.network)
        run = partial(attack, model, **({"box": BOX} if in_box else {}), **options)
        replicas, traced = len(subject.seeds), traces_failures and setting.network.colour
        parts: list[tuple[Tensor, ...]] = []
        for rows in subject.chunks(setting.network):
            x = read(subject.x[rows].expand(replicas, -1, -1), sum(BOX) / 2)
            y = subject.y[rows].expand(replicas, -1)
            with exact_convolutions():
                result = run(x, y)
                with torch.no_grad():
                    correct = model(x).argmax(-1) == y
                steps = first_step.first_steps(model, x, y, result, correct, options) if traced else None
            parts.append((correct, result.flipped, result.radius, *(() if steps is None else (steps,))))
            progress(x.shape[1])
        correct, flipped, radius, *steps_of = (torch.cat(columns, 1) for columns in zip(*parts, strict=True))
        whole = AttackResult(radius, flipped, radius)
        values = {
            "r_2": metrics.r_2(whole, correct),
            "r_2_squared": metrics.r_2(whole, correct, power=2),
            "failures": [Estimate(count, len(subject.y), None) for count in metrics.failures(whole, correct)],
        }
        for first in steps_of:
            values |= first_step.estimates(first, flipped, correct, subject.y, setting.classes)
        return {(metric, name): value for metric, value in values.items()}

    return Measurement(names, measure)
