"""One battery for the family of attacks: what the contract promises, each member keeps."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from sparse_robust.attacks import (
    AttackResult,
    adaptive_projected_gradient_descent,
    carlini_wagner,
    deepfool,
    fast_gradient_sign,
    minimal_l2,
    projected_gradient_descent,
    random_fast_gradient_sign,
    random_signs,
)
from sparse_robust.models import LinearClassifier, ReplicaLinear
from sparse_robust.rng import stream
from sparse_robust.types import Box, LogitsFn

SEEDS, EXAMPLES, SHAPE, CLASSES = (3, 8), 8, (2, 3), 3
UNIT = (0.0, 1.0)
Attack = Callable[[LogitsFn, Tensor, Tensor, Tensor, Box], AttackResult]


def rfgs(f: LogitsFn, x: Tensor, y: Tensor, signs: Tensor, box: Box) -> AttackResult:
    return random_fast_gradient_sign(f, x, y, eps=0.3, signs=signs, box=box)


def cw(f: LogitsFn, x: Tensor, y: Tensor, _: Tensor, box: Box) -> AttackResult:
    return carlini_wagner(f, x, y, steps=16, searches=3, box=box or (-1.0, 2.0))


def pgd(f: LogitsFn, x: Tensor, y: Tensor, signs: Tensor, box: Box) -> AttackResult:
    return projected_gradient_descent(f, x, y, eps=0.3, steps=7, noise=0.1 * signs.to(x.dtype), box=box)


def apgd(f: LogitsFn, x: Tensor, y: Tensor, signs: Tensor, box: Box) -> AttackResult:
    noise = 0.1 * signs.to(x.dtype)
    return adaptive_projected_gradient_descent(f, x, y, eps=0.3, steps=12, noise=noise, box=box)


def minimal(f: LogitsFn, x: Tensor, y: Tensor, _: Tensor, box: Box) -> AttackResult:
    """Images of its own: by itself it looks for other classes among the other examples."""
    images = torch.rand((20, *SHAPE), generator=stream(0, "images"), dtype=torch.float64)
    return minimal_l2(f, x, y, images=images.to(x.dtype), box=box)


ATTACKS: dict[str, Attack] = {
    "FGS": lambda f, x, y, _, box: fast_gradient_sign(f, x, y, eps=0.3, box=box),
    "rFGS": rfgs,
    "PGD": pgd,
    "APGD": apgd,
    "DeepFool": lambda f, x, y, _, box: deepfool(f, x, y, box=box),
    "minimal": minimal,
    "C&W": cw,
}
MINIMAL_NORM = ("DeepFool", "minimal", "C&W")
STOP_WHEN_FLIPPED = ("PGD", "APGD", *MINIMAL_NORM)
every_attack = pytest.mark.parametrize("name", ATTACKS)


class TanhNet(nn.Module):
    """A smooth classifier of two layers, [R, N, *D] -> [R, N, K]."""

    def __init__(self, seeds: tuple[int, ...]) -> None:
        super().__init__()
        self.hidden = ReplicaLinear(seeds, 6, 5, "hidden")
        self.out = ReplicaLinear(seeds, 5, CLASSES, "out")

    def forward(self, x: Tensor) -> Tensor:
        return self.out((4 * self.hidden(x.flatten(2) - 0.5)).tanh())


MODELS: dict[str, Callable[[tuple[int, ...]], nn.Module]] = {
    "linear": lambda seeds: LinearClassifier(seeds, 6, CLASSES),
    "tanh": TanhNet,
}
every_model = pytest.mark.parametrize("kind", MODELS)


def problem(kind: str, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    """Model, x, y and signs: some pixels exactly 0 or 1, two examples of each replica misclassified."""
    model = MODELS[kind](SEEDS).to(dtype)
    generator = stream(0, "battery")
    x = (torch.rand((2, EXAMPLES, *SHAPE), generator=generator, dtype=dtype) * 1.4 - 0.2).clamp(0, 1)
    with torch.no_grad():
        y = model(x).argmax(-1)
    y[:, ::5] = (y[:, ::5] + 1) % CLASSES
    return model, x, y, random_signs(SEEDS, EXAMPLES, SHAPE)


def same(a: AttackResult, b: AttackResult) -> None:
    """Equal up to the rounding of a matrix product of another shape."""
    assert torch.equal(a.flipped, b.flipped)
    assert torch.allclose(a.x_adv, b.x_adv, atol=1e-7)
    assert torch.allclose(a.radius, b.radius, atol=1e-7)


@every_attack
@every_model
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("box", [UNIT, (-0.25, 1.5), None])
def test_keeps_shape_type_and_box(name: str, kind: str, dtype: torch.dtype, box: Box) -> None:
    model, x, y, signs = problem(kind, dtype)
    result = ATTACKS[name](model, x, y, signs, box)
    assert result.x_adv.shape == x.shape
    assert result.x_adv.dtype == result.radius.dtype == dtype
    assert result.flipped.shape == result.radius.shape == y.shape
    assert result.flipped.dtype == torch.bool
    assert [result.x_adv.requires_grad, result.radius.requires_grad] == [False, False]
    if box:
        assert box[0] <= float(result.x_adv.min()) <= float(result.x_adv.max()) <= box[1]


@every_attack
@every_model
def test_leaves_model_and_inputs_untouched(name: str, kind: str) -> None:
    model, x, y, signs = problem(kind)
    before = [value.clone() for value in (x, y, signs, *model.parameters())]
    result = ATTACKS[name](model, x, y, signs, UNIT)
    after = [x, y, signs, *model.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not x.requires_grad
    result.x_adv.add_(1)  # and what is returned is the caller's own
    assert torch.equal(x, before[0])


@every_attack
def test_is_deterministic_and_needs_no_gradient_mode(name: str) -> None:
    model, x, y, signs = problem("tanh")
    torch.manual_seed(1)
    first = ATTACKS[name](model, x, y, signs, UNIT)
    torch.manual_seed(2)
    with torch.no_grad():
        second = ATTACKS[name](model, x, y, signs, UNIT)
    assert torch.equal(first.x_adv, second.x_adv)
    assert torch.equal(first.radius, second.radius)


@every_attack
@every_model
@pytest.mark.parametrize("box", [UNIT, None])
def test_the_model_is_the_judge(name: str, kind: str, box: Box) -> None:
    model, x, y, signs = problem(kind)
    result = ATTACKS[name](model, x, y, signs, box)
    with torch.no_grad():
        wrong = model(result.x_adv).argmax(-1) != y
    assert torch.equal(result.flipped, wrong)
    length = (result.x_adv - x).square().sum((2, 3)).sqrt()
    assert torch.allclose(result.radius[wrong], length[wrong])
    assert bool(result.radius[~wrong].isposinf().all())
    if name == "FGS":
        assert 0 < int(wrong.sum()) < y.numel()  # both branches were seen


@every_attack
@every_model
def test_never_helps_the_defender_on_average(name: str, kind: str) -> None:
    model, x, y, signs = problem(kind)
    with torch.no_grad():
        wrong = (model(x).argmax(-1) != y).sum(1)
    result = ATTACKS[name](model, x, y, signs, UNIT)
    flipped = result.flipped.sum(1)
    assert bool((flipped >= wrong).all())
    assert int(flipped.sum()) > int(wrong.sum())


@every_attack
@every_model
def test_replica_equals_the_lone_run(name: str, kind: str) -> None:
    model, x, y, signs = problem(kind)
    together = ATTACKS[name](model, x, y, signs, UNIT)
    for r, seed in enumerate(SEEDS):
        alone = MODELS[kind]((seed,)).double()
        lone = ATTACKS[name](
            lambda z, f=alone: f(z.unsqueeze(0)).squeeze(0),
            x[r],
            y[r],
            random_signs((seed,), EXAMPLES, SHAPE)[0],
            UNIT,
        )
        same(lone, AttackResult(together.x_adv[r], together.flipped[r], together.radius[r]))


@every_attack
@every_model
def test_examples_do_not_affect_each_other(name: str, kind: str) -> None:
    """Alone, in pairs or in another order: cleverhans' C&W fails this."""
    model, x, y, signs = problem(kind)
    together = ATTACKS[name](model, x, y, signs, UNIT)
    for part in ([1], [2], [7], [5, 1], list(range(EXAMPLES))[::-1]):
        result = ATTACKS[name](model, x[:, part], y[:, part], signs[:, part], UNIT)
        same(
            result, AttackResult(together.x_adv[:, part], together.flipped[:, part], together.radius[:, part])
        )


@pytest.mark.parametrize("name", STOP_WHEN_FLIPPED)
@every_model
def test_misclassified_inputs_come_back_as_they_are(name: str, kind: str) -> None:
    model, x, y, signs = problem(kind)
    with torch.no_grad():
        wrong = model(x).argmax(-1) != y
    assert 0 < int(wrong.sum()) < y.numel()
    result = ATTACKS[name](model, x, y, signs, UNIT)
    assert torch.equal(result.x_adv[wrong], x[wrong])
    assert bool((result.radius[wrong] == 0).all())
    assert bool((result.radius[~wrong] > 0).all())


@every_attack
def test_without_a_gradient_the_radius_is_infinite(name: str) -> None:
    """foolbox' C&W returned an all-zero image for a failure, which then looked like a success."""
    _, x, _, signs = problem("linear")
    y = torch.zeros(x.shape[:2], dtype=torch.long)

    def constant(z: Tensor) -> Tensor:
        return 0 * z.flatten(2)[..., :1] + torch.tensor([1.0, 0.0], dtype=z.dtype)

    result = ATTACKS[name](constant, x, y, signs, UNIT)
    assert not bool(result.flipped.any())
    assert bool(result.radius.isposinf().all())
    if name in ("FGS", *MINIMAL_NORM[:1]):
        assert torch.equal(result.x_adv, x)


@every_attack
def test_no_examples_is_no_error(name: str) -> None:
    model, x, y, signs = problem("linear")
    result = ATTACKS[name](model, x[:, :0], y[:, :0], signs[:, :0], UNIT)
    assert result.x_adv.shape == (2, 0, *SHAPE)
    assert result.radius.shape == (2, 0)


@every_attack
def test_inputs_that_make_no_sense_are_refused(name: str) -> None:
    model, x, y, signs = problem("linear")
    attack = partial(ATTACKS[name], model)
    with pytest.raises(ValueError, match=r"got y \[2, 7\] and x \[2, 8, 2, 3\]"):
        attack(x, y[:, :7], signs, UNIT)
    with pytest.raises(ValueError, match=r"y must be \[N\] or \[R, N\]"):
        attack(x[0, 0, 0], y[0, 0], signs, UNIT)
    with pytest.raises(ValueError, match=r"x must be floating point .* got torch.uint8"):
        attack(x.to(torch.uint8), y, signs, UNIT)
    with pytest.raises(ValueError, match=r"y must hold class indices, .* got torch.float64"):
        attack(x, y.double(), signs, UNIT)
    with pytest.raises(ValueError, match=r"low < high, got \(1.0, 0.0\)"):
        attack(x, y, signs, (1.0, 0.0))
    with pytest.raises(ValueError, match=r"x leaves the box .* it spans \[0, 255\]; scale it first"):
        attack(x * 255, y, signs, UNIT)
    x[0, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="x must be finite, 1 of its entries are not"):
        attack(x, y, signs, UNIT)


@pytest.mark.parametrize(
    ("attack", "options", "message"),
    [
        (fast_gradient_sign, {"eps": -0.1}, "eps must be at least 0, got -0.1"),
        (random_fast_gradient_sign, {"eps": 0.1, "step": 0.2}, "between 0 and eps=0.1, got 0.2"),
        (random_fast_gradient_sign, {"eps": 0.1, "step": -0.2}, "between 0 and eps=0.1, got -0.2"),
        (random_fast_gradient_sign, {"eps": -0.1}, "eps=-0.1"),
        (deepfool, {"steps": 0}, "steps must be at least 1 and overshoot at least 0, got 0 and 0.02"),
        (deepfool, {"overshoot": -0.01}, "overshoot at least 0, got 50 and -0.01"),
        (carlini_wagner, {"steps": 0}, "got 0, 9, 0.1, 1.0, 0.0"),
        (carlini_wagner, {"searches": 0}, "got 100, 0, 0.1, 1.0, 0.0"),
        (carlini_wagner, {"lr": 0.0}, "got 100, 9, 0.0, 1.0, 0.0"),
        (carlini_wagner, {"first_c": 0.0}, "got 100, 9, 0.1, 0.0, 0.0"),
        (carlini_wagner, {"confidence": -1.0}, "got 100, 9, 0.1, 1.0, -1.0"),
    ],
)
def test_options_out_of_range_are_refused(attack: Callable, options: dict[str, float], message: str) -> None:
    model, x, y, signs = problem("linear")
    extra = {"signs": signs} if attack is random_fast_gradient_sign else {}
    with pytest.raises(ValueError, match=message):
        attack(model, x, y, **options, **extra)


def test_random_signs_of_the_wrong_shape_are_refused() -> None:
    model, x, y, signs = problem("linear")
    with pytest.raises(ValueError, match=r"shape of x, \[2, 8, 2, 3\], got \[8, 2, 3\]"):
        random_fast_gradient_sign(model, x, y, eps=0.1, signs=signs[0])
