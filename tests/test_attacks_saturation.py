"""FGS keeps its signs where the softmax has saturated (claim prop-cross-entropy-gradient)."""

import pytest
import torch

from sparse_robust.attacks import fast_gradient_sign
from sparse_robust.attacks.fgs import loss_gradient

WEIGHT = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.5, 0.0], [0.0, -1.0, 0.0]])


def logits(x: torch.Tensor, lead: float) -> torch.Tensor:
    return x @ WEIGHT.to(x.dtype).T + torch.tensor([lead, 0.0, 0.0], dtype=x.dtype)


@pytest.mark.parametrize("lead", [0.0, 5.0, 16.0, 18.0, 30.0, 80.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_signs_are_those_of_the_exact_gradient(lead: float, dtype: torch.dtype):
    """At x = 0 the gradient is p_1 (w_1 - w_0) + p_2 (w_2 - w_0) with p_1 = p_2: signs (-, -, 0)."""
    x, y = torch.zeros(1, 3, dtype=dtype), torch.tensor([0])
    attacked = fast_gradient_sign(lambda z: logits(z, lead), x, y, eps=0.5)
    assert attacked.x_adv.tolist() == [[-0.5, -0.5, 0.0]]


def test_it_is_a_positive_multiple_of_the_gradient_of_the_cross_entropy():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    y = torch.arange(50) % 3
    z = logits(x, 1.0)
    (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(z, y, reduction="sum"), x)
    missing = 1 - z.softmax(-1).gather(-1, y[:, None]).detach()
    ours = loss_gradient(lambda v: logits(v, 1.0), x.detach(), y)
    assert torch.allclose(gradient, missing * ours, rtol=1e-9, atol=1e-12)
