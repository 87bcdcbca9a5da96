"""The nearest linearised boundary: trying classes in order finds what trying all of them finds."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sparse_robust.attacks import deepfool
from sparse_robust.attacks.linear_model import nearest_crossing
from sparse_robust.attacks.projection import cross
from sparse_robust.models import LeNet300100
from sparse_robust.rng import stream
from sparse_robust.types import LogitsFn


def affine(logits: Tensor, jacobian: Tensor, x: Tensor) -> LogitsFn:
    """A model of its own for each example, with logits [R, N, K] and gradients [R, N, K, D] at ``x``."""
    return lambda z: logits + (jacobian @ (z - x).unsqueeze(-1)).squeeze(-1)


@pytest.mark.parametrize("box", [None, (0.0, 1.0)])
@settings(deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([0.01, 0.3, 3.0]))
def test_equals_the_best_of_all_classes(box: tuple[float, float] | None, seed: int, scale: float) -> None:
    """Inputs at the edges of the box, where many boundaries are farther than without it or out of reach."""
    replicas, examples, classes, inputs = 2, 5, 6, 4
    generator = stream(seed, "test/crossing")

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(replicas, examples, *shape, generator=generator, dtype=torch.float64)

    x = normal(inputs).mul(2).add(0.5).clamp(0, 1)
    logits, jacobian = scale * normal(classes), normal(classes, inputs)
    jacobian[0, 0, 1] = jacobian[0, 0, 0]  # a class that cannot be reached from class 0
    y = logits.argmax(-1)
    logits_fn = affine(logits, jacobian, x)
    found = nearest_crossing(logits_fn, x, y, box)
    for r in range(replicas):
        for n in range(examples):
            own = int(y[r, n])
            towards = jacobian[r, n] - jacobian[r, n, own]
            steps = cross(x[r, n].expand_as(towards), towards, logits[r, n, own] - logits[r, n], box)
            lengths = steps.norm(dim=-1).nan_to_num(torch.inf, torch.inf)
            lengths[own] = torch.inf
            if lengths.isinf().all():
                assert not bool(found[r, n].isfinite().all())
            else:
                torch.testing.assert_close(found[r, n], steps[lengths.argmin()], rtol=1e-9, atol=1e-12)
    few = nearest_crossing(logits_fn, x, y, box, enough=1)
    assert torch.equal(few.isfinite(), found.isfinite())  # goes on to other classes where the first is no way
    assert bool((few.norm(dim=-1) >= found.norm(dim=-1) * (1 - 1e-12)).all())


def test_the_whole_batch_judges() -> None:
    """A point on a boundary may fall on either side with the size of the batch, as products round."""
    x = torch.tensor([[[2.0, 0.0], [0.0, 0.0], [-1.0, 0.0]]])
    y = torch.tensor([[1, 1, 1]])  # the last two are misclassified, so the first is searched alone

    def logits_fn(z: Tensor) -> Tensor:
        f = z[..., 0] - 1 + (2e-5 if z.shape[1] == 3 else 0.0)
        return torch.stack([-f, f], -1)

    result = deepfool(logits_fn, x, y, overshoot=1e-5)
    assert bool(result.flipped.all())
    assert float(result.radius[0, 0]) == pytest.approx(1, abs=1e-3)


def test_without_any_gradient_there_is_no_step() -> None:
    x, y = torch.full((1, 1, 3), 0.5), torch.tensor([[0]])
    logits_fn = affine(torch.tensor([[[2.0, 1.0]]]), torch.ones(1, 1, 2, 3), x)
    for box in (None, (0.0, 1.0)):
        assert bool(nearest_crossing(logits_fn, x, y, box).isposinf().all())


def test_where_singular_vectors_cannot_be_computed_no_gradient_is_spared(monkeypatch) -> None:
    """LAPACK gives up on some layers that pruning has left nearly empty; the attack must not."""
    model = LeNet300100([0]).eval()
    x = torch.rand(1, 400, 784, generator=torch.Generator().manual_seed(0))
    y = model(x).argmax(-1)
    before = deepfool(model, x, y, steps=3)

    def gives_up(_: torch.Tensor) -> None:
        raise torch.linalg.LinAlgError("The algorithm failed to converge")

    monkeypatch.setattr("torch.linalg.eigh", gives_up)
    after = deepfool(model, x, y, steps=3)
    torch.testing.assert_close(after.x_adv, before.x_adv)
