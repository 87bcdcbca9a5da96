"""r_inf: accuracy on adversarial examples within eps, after one step (FGS, rFGS) or many (PGD, APGD)."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sparse_robust import attacks, metrics
from sparse_robust.attacks import AttackResult

from .contract import BOX, Measurement, Options, Progress, Setting, Subject, Values, exact_convolutions


@functools.lru_cache(maxsize=1)
def random_signs(seeds: tuple[int, ...], examples: int, shape: tuple[int, ...]) -> Tensor:
    """The signs of rFGS, which are the same after every round: kept, as drawing them takes a while."""
    return attacks.random_signs(seeds, examples, shape)


def one_step(name: str, attack: Callable[..., AttackResult], *, signs: bool = False) -> Measurement:
    """r_inf under an attack of the family; with ``signs`` it starts from random signs."""

    def measure(setting: Setting, subject: Subject, options: Options, progress: Progress) -> Values:
        model, read = subject.attacked(setting.network)
        replicas, shape = len(subject.seeds), tuple(subject.x.shape[1:])
        drawn = None
        if signs:
            drawn = random_signs(tuple(subject.seeds), len(subject.y), shape).to(subject.x.device)
        flipped = []
        for rows in subject.chunks(setting.network):
            x = read(subject.x[rows].expand(replicas, -1, -1), sum(BOX) / 2)
            y = subject.y[rows].expand(replicas, -1)
            more: dict[str, Any] = {} if drawn is None else {"signs": read(drawn[:, rows], 1)}
            with exact_convolutions():
                result = attack(model, x, y, eps=setting.eps, box=BOX, **more, **options)
            flipped.append(result.flipped)
            progress(x.shape[1])
        return {("r_inf", name): metrics.estimate(~torch.cat(flipped, 1))}

    return Measurement(lambda setting: [("r_inf", name)], measure)
