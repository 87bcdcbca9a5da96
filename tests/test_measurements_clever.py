"""Rows of CLEVER against direct calls, and the certified radii beside it against the theory of small nets."""

from math import inf
from typing import Any

import numpy as np
import pytest
import torch

from sparse_robust import metrics
from sparse_robust.data import embedded_digits
from sparse_robust.experiments import Store, run
from sparse_robust.experiments.checkpoints import Replica
from sparse_robust.experiments.stages import arrays, build
from sparse_robust.measurements import Subject
from sparse_robust.measurements.clever_scores import (
    Perceptron,
    certified,
    clever_scores,
    global_constants,
    interval_constants,
    kept,
    perceptron,
    sampled_score,
)
from sparse_robust.models import LeNet300100
from sparse_robust.rng import stream
from sparse_robust.studies.catalogue import find
from sparse_robust.theory import Ball, ReluNet, lipschitz_power, rivals
from sparse_robust.theory.intervals import unit_states
from sparse_robust.theory.lipschitz import interval_power
from sparse_robust.theory.mask_bounds import all_paths

SPEC = find("clever").specs["smoke"][0]
EPS = {2: 1.0, inf: 0.1}


def small(seed: int = 0) -> Perceptron:
    """A random network 3-5-4-3 with biases."""
    draw = np.random.default_rng(seed).standard_normal
    return Perceptron((draw((3, 5)), draw((5, 4))), (draw(5), draw(4)), draw((4, 3)))


def nets(net: Perceptron, label: int) -> tuple[ReluNet, ...]:
    return rivals(net.weights, net.outputs, label, net.biases)


@pytest.mark.parametrize("p", [2, inf])
@pytest.mark.parametrize("label", [0, 2])
def test_interval_constants_are_those_of_the_theory(p: float, label: int) -> None:
    net, q = small(), metrics.DUAL[p]
    ball = Ball(np.array([0.3, -0.2, 0.5]), EPS[p], p)
    found = interval_constants(net, label, ball, q)
    for constant, lead in zip(found, nets(net, label), strict=True):
        power = interval_power(lead, unit_states(lead, ball), q=q)
        assert constant == pytest.approx(float(power) ** (1 / q))
        assert constant**q >= float(lipschitz_power(lead, ball, q=q)) * (1 - 1e-9)


@pytest.mark.parametrize("q", [1, 2])
def test_global_constants_bound_the_steepest_region(q: int) -> None:
    net = small()
    for constant, lead in zip(global_constants(net, q)(1), nets(net, 1), strict=True):
        assert constant**q >= float(lipschitz_power(lead, q=q)) * (1 - 1e-9)
        if q == 1:
            assert constant == pytest.approx(float(abs(all_paths(lead)).sum()))


def test_layers_are_the_model() -> None:
    model = LeNet300100([3, 4]).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01)
    net = perceptron(model, 1)
    x = torch.rand(784, generator=stream(0, "test/clever"), dtype=torch.float64)
    bias = model.readout.bias[1, 0].detach().numpy()
    leads = rivals(net.weights, net.outputs, 7, net.biases, bias)
    logits = model(x.expand(2, 1, -1))[1, 0].detach().numpy()
    assert [float(h(x.numpy())) for h in leads] == pytest.approx(np.delete(logits[7] - logits, 7), abs=1e-12)


@pytest.mark.parametrize("p", [2, inf])
def test_certificates_hold_and_are_zero_where_a_rival_leads(p: float) -> None:
    net, x = small(), np.array([0.3, -0.2, 0.5])
    hidden = np.maximum(np.maximum(x @ net.weights[0] + net.biases[0], 0) @ net.weights[1] + net.biases[1], 0)
    logits = hidden @ net.outputs
    label = int(logits.argmax())
    for y in range(3):
        margin = torch.from_numpy(logits[y] - logits)
        margin[y] = torch.nan
        (whole,), (local,) = certified(net, x[None], [y], margin[None], p, 5.0)
        assert (whole > 0) == (local > 0) == (y == label)
        if y == label:
            assert min(whole, local) > 0
            ends = x + max(whole, local) * np.array(
                [s / np.linalg.norm(s, p) for s in np.random.default_rng(1).standard_normal((500, 3))]
            )
            assert all((h(ends) > -1e-12).all() for h in nets(net, y))


def measured(store: Store) -> dict[Any, float]:
    rows = run(find("clever"), "smoke", device="cpu", store=store, seeds=[0, 1], quiet=True)
    return {(r.seed, r.round, r.metric, r.attack): r.value for r in rows}


def test_rows_equal_direct_calls(tmp_path: Any) -> None:
    store = Store(tmp_path / "results", tmp_path / "cache")
    found, data = measured(store), embedded_digits()
    assert {round_ for _, round_, _, _ in found} == set(SPEC.measured)
    test = arrays(SPEC, data, torch.device("cpu"))
    model = build(SPEC, [1], torch.device("cpu")).model
    replica = Replica(SPEC.training_key, data.fingerprint, 1, 3)
    checkpoint = store.find_checkpoint(replica, build(SPEC, [1], torch.device("cpu")).split()[0].tensors)
    assert checkpoint is not None
    tensors = checkpoint.tensors.items()
    model.load_state_dict({name: x[None] for name, x in tensors if not name.startswith("mask/")})
    for attack in SPEC.attacks[:2]:
        options = dict(attack.options)
        n, p = attack.examples, 2 if attack.name == "CLEVER l_2" else inf
        direct = metrics.clever(
            model,
            test.x_test[None, :n],
            test.y_test[None, :n],
            p=p,
            radius=options["radius"],
            batches=int(options["batches"]),
            samples=int(options["samples"]),
            seeds=[1],
        )
        assert found[1, 3, "clever", attack.name] == pytest.approx(float(direct.score.mean()), rel=1e-5)
        assert found[1, 3, "clever_sampled", attack.name] == pytest.approx(
            float(sampled_score(direct, options["radius"]).mean()), rel=1e-5
        )
        for gamma in ("gamma_global", "gamma_interval"):
            assert 0 < found[1, 3, gamma, attack.name] < found[1, 3, "clever", attack.name]
        wrong = (test.y_test[:n] + 1) % 10
        subject = Subject(model, test.x_test[:n], wrong, [1])
        zero = clever_scores(attack.name, p).measure(SPEC.setting, subject, options, lambda _: None)
        assert {
            metric: e[0].value for (metric, _), e in zero.items() if metric != "fits_kept"
        } == dict.fromkeys(("clever", "clever_sampled", "gamma_global", "gamma_interval"), 0)


def test_share_of_fits_kept() -> None:
    """A sample of two values is no continuous law's, and one without spread has none fitted."""
    ks = torch.tensor([[[0.0, 0.05, 0.5, 0.0]]], dtype=torch.float64)
    shape = torch.tensor([[[torch.nan, 2.0, 2.0, torch.nan]]], dtype=torch.float64)
    margin = torch.tensor([[[torch.nan, 1.0, 1.0, 1.0]]], dtype=torch.float64)
    result = metrics.CleverResult(margin[..., 0], margin, margin, margin, shape, ks)
    share = kept(result, 30)[0, 0]
    assert share[0].isnan()
    assert share[1:].tolist() == [1, 0, 0]
