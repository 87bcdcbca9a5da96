"""Splits, fingerprints and the choice of classes."""

import hashlib
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparse_robust.data import Dataset, Split, embedded_digits, fingerprint, pixels, select_classes


def made(labels: list[int]) -> Split:
    """One image per label; image n is filled with n, so that its order can be read off."""
    n = len(labels)
    images = torch.arange(n, dtype=torch.uint8)[:, None, None].expand(n, 28, 28).contiguous()
    return Split(images, torch.tensor(labels, dtype=torch.int64))


def dataset(train: list[int], test: list[int]) -> Dataset:
    a, b = made(train), made(test)
    return Dataset(a, b, "made", fingerprint(a, b), "a test")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
@given(
    train=st.lists(st.integers(0, 9), min_size=1, max_size=40),
    classes=st.lists(st.integers(0, 9), min_size=2, max_size=10, unique=True),
)
def test_select_classes_is_a_filter_and_a_relabelling(train: list[int], classes: list[int]) -> None:
    whole = dataset(train + classes, classes)
    chosen = select_classes(whole, classes)
    kept = [n for n, label in enumerate(train + classes) if label in classes]
    assert chosen.train.images[:, 0, 0].tolist() == kept
    assert [classes[i] for i in chosen.train.labels.tolist()] == [(train + classes)[n] for n in kept]
    assert chosen.test.labels.tolist() == list(range(len(classes)))
    assert chosen.fingerprint == fingerprint(chosen.train, chosen.test)


@pytest.mark.parametrize("classes", [(1,), (), (3, 3)])
def test_select_classes_wants_two_distinct_classes(classes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least two, each once"):
        select_classes(dataset([1, 3], [1, 3]), classes)


def test_select_classes_says_which_class_is_missing_where() -> None:
    with pytest.raises(ValueError, match=r"no test example has label 7; there are \[1\]"):
        select_classes(dataset([1, 7], [1]), (1, 7))


def test_fingerprint_is_the_hash_of_shapes_pixels_and_labels() -> None:
    a, b = made([4, 2]), made([9])
    content = (
        b"(2, 28, 28)" + bytes(784) + b"\x01" * 784 + b"\x04\x02" + b"(1, 28, 28)" + bytes(784) + b"\x09"
    )
    assert fingerprint(a, b) == hashlib.sha256(content).hexdigest()[:12]


def test_fingerprint_changes_with_a_pixel_a_label_and_the_boundary_between_splits() -> None:
    a, b = made([0, 1, 2]), made([3])
    pixel = Split(a.images.clone(), a.labels)
    pixel.images[1, 5, 5] ^= 1
    label = replace(a, labels=torch.tensor([0, 1, 3]))
    moved = (made([0, 1]), Split(torch.cat([a.images[2:], b.images]), torch.tensor([2, 3])))
    prints = {fingerprint(a, b), fingerprint(pixel, b), fingerprint(label, b), fingerprint(*moved)}
    assert len(prints) == 4


def test_pixels_are_grey_levels_over_255() -> None:
    split = Split(torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(3, 1, 1), torch.zeros(3))
    assert torch.equal(pixels(split).flatten(), torch.tensor([0.0, 0.2, 1.0]))


def test_embedded_sample_is_balanced_and_real() -> None:
    digits = embedded_digits()
    assert digits.train.labels.bincount().tolist() == [1000] * 10
    assert digits.test.labels.bincount().tolist() == [200] * 10
    assert digits.train.images.dtype == digits.test.images.dtype == torch.uint8
    assert digits.train.labels.dtype == torch.int64
    assert digits.fingerprint == fingerprint(digits.train, digits.test)
    # no image occurs twice, within a split or across them
    everything = torch.cat([digits.train.images, digits.test.images]).flatten(1)
    assert len(everything.unique(dim=0)) == 12_000
    # a nearest-mean classifier gets about 81 % on MNIST: labels and images belong together
    means = torch.stack([pixels(digits.train)[digits.train.labels == k].mean(0).flatten() for k in range(10)])
    nearest = torch.cdist(pixels(digits.test).flatten(1), means).argmin(dim=1)
    assert (nearest == digits.test.labels).float().mean() > 0.75
