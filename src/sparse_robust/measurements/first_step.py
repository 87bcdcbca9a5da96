"""What DeepFool leaves behind where it fails: which examples, how many, and its first iteration.

On CIFAR-10 the paper meets ResNets that resist DeepFool on some examples, "for which the second and
subsequent iterations make little sense and can be disregarded" (section 4.2). So r_2 is reported twice: an
example on which DeepFool fails is infinitely far away, or as far as the first iteration went.
"""

from torch import Tensor

from sparse_robust import attacks, metrics
from sparse_robust.attacks import AttackResult
from sparse_robust.attacks.contract import Active, norms
from sparse_robust.metrics import Estimate
from sparse_robust.types import LogitsFn

from .contract import Options

FIRST_STEP = {"r_2": "r_2_first_step", "r_2_squared": "r_2_squared_first_step"}
"""By the metric that takes a failure for an infinite distance."""


def names(classes: int) -> list[str]:
    """The metrics of :func:`estimates`."""
    return [*FIRST_STEP.values(), *(f"failures_class_{k}" for k in range(classes))]


def first_steps(
    model: LogitsFn, x: Tensor, y: Tensor, result: AttackResult, correct: Tensor, options: Options
) -> Tensor:
    """DeepFool's distances [R, N], with that of its first iteration where it failed.

    Where the first iteration finds no way at all, as the gradients are zero, that is 0.

    Args:
        model: [R, N, *D] -> [R, N, K].
        x: [R, N, *D].
        y: [R, N].
        result: of DeepFool on them.
        correct: bool [R, N], whether the unperturbed example is classified correctly.
        options: that DeepFool was run with.
    """
    failed = correct & ~result.flipped
    radius = result.radius.clone()
    if failed.any():
        active = Active(failed)
        start, label = active.take(x), active.take(y)
        reached = attacks.deepfool(model, start, label, **(dict(options) | {"steps": 1})).x_adv
        active.put(norms(reached - start, label), radius)
    return radius


def estimates(
    radius: Tensor, flipped: Tensor, correct: Tensor, y: Tensor, classes: int
) -> dict[str, list[Estimate]]:
    """r_2 with first steps for failures, and how many failures there are in each class.

    Args:
        radius: [R, N], from :func:`first_steps`.
        flipped: bool [R, N], whether DeepFool succeeded.
        correct: bool [R, N], whether the unperturbed example is classified correctly.
        y: [N], the classes.
        classes: K.

    Returns:
        by name; the n of a count is the number of correctly classified examples of the class.
    """
    whole = AttackResult(radius, flipped, radius)
    values = {name: metrics.r_2(whole, correct, power=p) for p, name in enumerate(FIRST_STEP.values(), 1)}
    for k in range(classes):
        at = correct & (y == k)
        values[f"failures_class_{k}"] = [
            Estimate(int(failed), int(n), None)
            for failed, n in zip((at & ~flipped).sum(1), at.sum(1), strict=True)
        ]
    return values
