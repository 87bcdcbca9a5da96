"""Untrained networks in the place of the published models, for tests that must not need a download."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from sparse_robust.data import PUBLISHED_MODELS, published
from sparse_robust.models import LeNet5, LeNet300100, prunable
from test_data_caffemodel import blob, layer


def fabricate(root: Path, patch: pytest.MonkeyPatch) -> None:
    """Put a Caffe file for every published model below ``root`` and take each for the true one.

    Every second weight of the sparse ones is zero.
    """
    (root / published.FOLDER).mkdir(parents=True)
    files = {}
    for name, file in PUBLISHED_MODELS.items():
        model = LeNet5([0]) if "lenet5" in name else LeNet300100([0])
        if "sparse" in name:
            for weights in prunable(model).values():
                weights.data.flatten()[::2] = 0
        parts = [blob(p.detach()[0].reshape(p.shape[1:]).numpy()) for p in model.parameters()]
        layers = b"".join(layer(f"l{i}", *parts[i : i + 2]) for i in range(0, len(parts), 2))
        (root / published.FOLDER / f"{name}.caffemodel").write_bytes(layers)
        files[name] = replace(file, sha256=hashlib.sha256(layers).hexdigest())
    patch.setattr(published, "PUBLISHED_MODELS", files)
