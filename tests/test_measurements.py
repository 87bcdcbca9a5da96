"""Measurements of nonlinear models: zeros after every ReLU, attacks on part of the test set, whole models."""

from dataclasses import replace

import pytest
import torch

from sparse_robust import attacks, metrics
from sparse_robust.experiments import Spec
from sparse_robust.experiments.stages import build
from sparse_robust.measurements import CLEAN, MEASUREMENTS, Setting, Subject
from sparse_robust.measurements.contract import Progress, Values
from sparse_robust.models import prunable
from sparse_robust.rng import stream
from sparse_robust.studies.catalogue import find

SEEDS = (3, 1)


def case(name: str, examples: int = 30) -> tuple[Spec, Subject]:
    """Untrained replicas of an experiment, and noise to measure them on."""
    (spec,) = find(name).specs["smoke"]
    x = torch.rand((examples, 784), generator=stream(0, "test/measure"))
    model = build(spec, SEEDS, torch.device("cpu")).model
    return spec, Subject(model, x, torch.arange(examples) % 10, SEEDS)


def clean(spec: Spec, subject: Subject) -> Values:
    return CLEAN.measure(spec.setting, subject, {}, lambda _: None)


def attacked(name: str, setting: Setting, subject: Subject, progress: Progress = lambda _: None) -> Values:
    return MEASUREMENTS[name].measure(setting, subject, {}, progress)


@pytest.mark.parametrize("name", ["lenet-300-100", "lenet-5"])
def test_clean_numbers_by_hand(name: str) -> None:
    spec, subject = case(name)
    values, model = clean(spec, subject), subject.model
    assert set(values) == set(CLEAN.names(spec.setting))
    with torch.no_grad():
        x = subject.x.expand(len(SEEDS), -1, -1)
        right, layers = (model(x).argmax(-1) == subject.y).double().mean(-1), model.activations(x)
    assert [e.value for e in values["accuracy", None]] == pytest.approx(right.tolist())
    assert [e.value for e in values["sparsity", None]] == [0, 0]
    names = ["activation_sparsity_1", "activation_sparsity"][-len(layers) :]
    for metric, activations in zip(names, layers, strict=True):
        zeros = (activations == 0).double().mean((1, 2))
        assert [e.value for e in values[metric, None]] == pytest.approx(zeros.tolist())
        assert [e.n for e in values[metric, None]] == [30, 30]
        assert ((zeros > 0.2) & (zeros < 0.8)).all()


@pytest.mark.parametrize("name", ["surgery", "surgery-lenet-5"])
def test_after_surgery_zeros_are_counted_by_layer(name: str) -> None:
    spec, subject = case(name)
    weights = list(prunable(subject.model).values())
    with torch.no_grad():
        for number, weight in enumerate(weights, 1):
            weight.flatten(1)[:, : 3 * number] = 0
            weight.flatten(1)[1, : 5 * number] = 0
    values = clean(spec, subject)
    assert set(values) == set(CLEAN.names(spec.setting))
    for number, weight in enumerate(weights, 1):
        size = weight[0].numel()
        shares = [(e.value, e.n) for e in values[f"sparsity_{number}", None]]
        assert shares == [(3 * number / size, size), (5 * number / size, size)]
    assert ("sparsity_1", None) not in CLEAN.names(case("lenet-5")[0].setting)


@pytest.mark.parametrize("name", ["FGS", "rFGS", "DeepFool"])
def test_chunks_do_not_matter(name: str) -> None:
    """Whatever the number of examples at once; for rFGS too, whose signs come from one stream."""
    spec, subject = case("lenet-300-100")
    small = replace(spec.setting, network=replace(spec.network, chunk=14))
    done: list[int] = []
    parts = attacked(name, small, subject, done.append)
    assert done == [7, 7, 7, 7, 2]
    whole = attacked(name, spec.setting, subject)
    assert list(parts) == list(whole) == MEASUREMENTS[name].names(spec.setting)
    for kind, estimates in whole.items():
        for a, b in zip(parts[kind], estimates, strict=True):
            assert (a.value, a.n) == (pytest.approx(b.value, rel=1e-4), 30)


def test_replicas_are_attacked_as_they_are() -> None:
    spec, subject = case("lenet-300-100")
    x, y = subject.x.expand(2, -1, -1), subject.y.expand(2, -1)
    result = attacks.deepfool(subject.model, x, y)
    with torch.no_grad():
        expected = metrics.r_2(result, subject.model(x).argmax(-1) == y)
    for a, b in zip(attacked("DeepFool", spec.setting, subject)["r_2", "DeepFool"], expected, strict=True):
        assert (a.value, a.stderr) == pytest.approx((b.value, b.stderr), rel=1e-4)
