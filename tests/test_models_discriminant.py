"""The closed-form linear classifier against the definition of what it is."""

import pytest
import torch

from sparse_robust.models.discriminant import linear_discriminant
from sparse_robust.rng import stream


def test_logits_are_the_log_posterior_of_gaussian_classes():
    generator = stream(0, "discriminant")
    x = torch.randn(60, 4, generator=generator, dtype=torch.float64)
    y = torch.arange(60) % 3
    x[:, 0] += 2.0 * y
    weight, bias = linear_discriminant(x, y, 3, ridge=0.5)
    means = torch.stack([x[y == k].mean(0) for k in range(3)])
    within = torch.cov((x - means[y]).T, correction=0) + 0.5 * torch.eye(4, dtype=torch.float64)
    densities = [torch.distributions.MultivariateNormal(mean, within).log_prob(x) for mean in means]
    expected = torch.stack(densities, 1).log_softmax(1)
    assert torch.allclose((x @ weight.T + bias).log_softmax(1), expected, atol=1e-10)


def test_bad_arguments_are_refused():
    x, y = torch.zeros(4, 2), torch.tensor([0, 0, 2, 2])
    with pytest.raises(ValueError, match="ridge must be above 0, got 0"):
        linear_discriminant(x, y, 3, ridge=0)
    with pytest.raises(ValueError, match=r"counts \[2, 0, 2\]"):
        linear_discriminant(x, y, 3, ridge=1.0)
    with pytest.raises(ValueError, match=r"every class 0\.\.1 needs an example"):
        linear_discriminant(x, y, 2, ridge=1.0)
