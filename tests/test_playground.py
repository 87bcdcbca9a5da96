"""The networks that the book carries: written and read back exactly, small, and what they say they are."""

import json

import numpy as np
import pytest
import torch

from sparse_robust.book import playground
from sparse_robust.data import embedded_digits
from sparse_robust.experiments import Store
from sparse_robust.rng import stream

CARRIED = json.loads((playground.FOLDER / "networks.json").read_text(encoding="utf-8"))


def test_rounding_keeps_zeros_and_errs_by_half_a_level():
    weight = torch.randn(6, 9, generator=stream(0, "test/quantised"))
    weight[2] = 0
    weight[3, ::2] = 0
    layer = playground.quantised(weight, torch.arange(6.0))
    back = layer.weights * layer.scales[:, None]
    assert ((weight == 0).numpy() <= (layer.weights == 0)).all()
    assert (np.abs(back - weight.numpy()) <= layer.scales[:, None] / 2 + 1e-7).all()
    assert np.abs(layer.weights[[0, 1, 3, 4, 5]]).max(1).tolist() == [127] * 5


def test_what_is_packed_is_unpacked():
    layers = [
        playground.quantised(torch.randn(3, 5, generator=stream(0, "a")), torch.randn(3)),
        playground.quantised(torch.randn(2, 3, generator=stream(0, "b")), torch.randn(2)),
    ]
    places, blob = playground._pack(layers, 8)
    for before, after in zip(layers, playground._unpack(places, bytes(8) + blob), strict=True):
        for name in ("weights", "scales", "biases"):
            assert np.array_equal(getattr(before, name), getattr(after, name))
    assert all(place[name] % 4 == 0 for place in places for name in ("weights", "scales", "biases"))


def test_the_carried_networks_are_small_and_from_the_rounds_that_the_rows_choose():
    assert sum(file.stat().st_size for file in playground.FOLDER.iterdir()) < 1_000_000
    assert {net["name"]: net["round"] for net in CARRIED["networks"]} == playground.rounds()
    for net in CARRIED["networks"]:
        assert net["accuracy"] == pytest.approx(net["accuracy before rounding"], abs=0.001)


def test_the_carried_networks_read_digits_as_well_as_they_say():
    test = embedded_digits().test
    for net, network in zip(CARRIED["networks"], playground.networks().values(), strict=True):
        said, n = net["accuracy"], len(test.labels)
        assert playground.accuracy(network, test) == pytest.approx(
            said, abs=4 * (said * (1 - said) / n) ** 0.5
        )


def test_pruned_weights_are_zero():
    blob = (playground.FOLDER / "networks.bin").read_bytes()
    for net in CARRIED["networks"]:
        layers = playground._unpack(net["layers"], blob)
        zeros = sum(int((layer.weights == 0).sum()) for layer in layers)
        assert zeros >= round(net["sparsity"] * sum(layer.weights.size for layer in layers))


def test_a_missing_checkpoint_is_named_with_the_command_that_trains_it(tmp_path, monkeypatch):
    monkeypatch.setattr(playground, "load_mnist", lambda root: embedded_digits())
    with pytest.raises(FileNotFoundError, match=r"round-0.*run lenet-300-100 --profile paper --seeds 0"):
        playground.write(Store(tmp_path, tmp_path), folder=tmp_path)
    assert not list(tmp_path.iterdir())
