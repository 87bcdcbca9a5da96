"""Measurements of nonlinear models: zeros after every ReLU, attacks on part of the test set, whole models."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sparse_robust import attacks, metrics
from sparse_robust.experiments import Attack, Spec
from sparse_robust.experiments.stages import Arrays, Population, build
from sparse_robust.measurements.clean import CHUNK, clean_metrics, measure_attack, measure_clean
from sparse_robust.models import prunable
from sparse_robust.rng import stream
from sparse_robust.studies.catalogue import CATALOGUE

SEEDS = (3, 1)
CPU = torch.device("cpu")


def arrays(examples: int) -> Arrays:
    x = torch.rand((examples, 784), generator=stream(0, "test/measure"))
    return Arrays(x, torch.arange(examples) % 10, x, torch.arange(examples) % 10)


def case(name: str, examples: int = 30) -> tuple[Spec, Population, Arrays]:
    (spec,) = CATALOGUE[name].specs["smoke"]
    return spec, build(spec, SEEDS, CPU), arrays(examples)


@pytest.mark.parametrize("name", ["lenet-300-100", "lenet-5"])
def test_clean_numbers_by_hand(name: str) -> None:
    spec, population, data = case(name)
    found = {(m.metric, m.attack): m.values for m in measure_clean(spec, population, data)}
    assert list(found) == clean_metrics(spec)
    model = population.model
    with torch.no_grad():
        for r in range(len(SEEDS)):
            x = data.x_test.expand(len(SEEDS), -1, -1)
            right = (model(x)[r].argmax(-1) == data.y_test).double().mean()
            assert found["accuracy", None][r].value == pytest.approx(float(right))
            assert found["sparsity", None][r].value == 0
            layers = model.activations(x)
            names = ["activation_sparsity_1", "activation_sparsity"][-len(layers) :]
            for metric, activations in zip(names, layers, strict=True):
                estimate = found[metric, None][r]
                assert estimate.n == 30
                assert estimate.value == pytest.approx(float((activations[r] == 0).double().mean()))
                assert 0.2 < estimate.value < 0.8


@pytest.mark.parametrize("name", ["surgery", "surgery-lenet-5"])
def test_after_surgery_zeros_are_counted_by_layer(name: str) -> None:
    spec, population, data = case(name)
    with torch.no_grad():
        for number, weight in enumerate(prunable(population.model).values(), 1):
            weight.flatten(1)[:, : 3 * number] = 0
            weight.flatten(1)[1, : 5 * number] = 0
    found = {(m.metric, m.attack): m.values for m in measure_clean(spec, population, data)}
    assert list(found) == clean_metrics(spec)
    sizes = [weight[0].numel() for weight in prunable(population.model).values()]
    for number, size in enumerate(sizes, 1):
        shares = [(e.value, e.n) for e in found[f"sparsity_{number}", None]]
        assert shares == [(3 * number / size, size), (5 * number / size, size)]
    assert ("sparsity_1", None) not in clean_metrics(case("lenet-5")[0])


@pytest.mark.parametrize("name", ["FGS", "rFGS", "DeepFool"])
def test_an_attack_of_some_examples_is_on_the_first(name: str) -> None:
    """As a run on a test set that has no others; rFGS too, whose signs come from one stream."""
    spec, population, data = case("lenet-300-100")
    told: list[int] = []
    part = list(measure_attack(spec, Attack(name, (), 12), population, data, SEEDS, told.append))
    short = replace(data, x_test=data.x_test[:12], y_test=data.y_test[:12])
    whole = list(measure_attack(spec, Attack(name), population, short, SEEDS, lambda _: None))
    assert [(m.metric, m.values) for m in part] == [(m.metric, m.values) for m in whole]
    assert all(value.n == 12 for m in part for value in m.values)
    assert sum(told) == 12


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nonlinear replicas are attacked as they are, whatever the number of examples at once."""
    spec, population, data = case("lenet-300-100")
    x, y = data.x_test.expand(2, -1, -1), data.y_test.expand(2, -1)
    result = attacks.deepfool(population.model, x, y, overshoot=0.02)
    with torch.no_grad():
        correct: Tensor = population.model(x).argmax(-1) == y
    expected = metrics.r_2(result, correct)
    for chunk in (CHUNK, 14):
        monkeypatch.setattr("sparse_robust.experiments.measure.CHUNK", chunk)
        found = next(measure_attack(spec, Attack("DeepFool"), population, data, SEEDS, lambda _: None))
        for a, b in zip(found.values, expected, strict=True):
            assert (a.value, a.stderr) == pytest.approx((b.value, b.stderr), rel=1e-4)
