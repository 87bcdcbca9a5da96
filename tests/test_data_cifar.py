"""CIFAR-10 in both containers, on a miniature; every way in which a file can be bad; what images are."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sparse_robust.data import (
    DataError,
    MissingDataError,
    cifar,
    fetch,
    load_cifar10,
    load_mnist,
    made_images,
)
from sparse_robust.data.containers import Edition

Arrays = dict[str, NDArray[np.generic]]
PARTS, EACH, TESTS = 5, 6, 4


def made_arrays() -> Arrays:
    rng = np.random.default_rng(0)
    sizes = {"train": PARTS * EACH, "test": TESTS}
    images = {f"x_{k}": rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8) for k, n in sizes.items()}
    return images | {f"y_{k}": np.arange(n, dtype=np.uint8) % 10 for k, n in sizes.items()}


def batch_bytes(images: NDArray[np.generic], labels: NDArray[np.generic]) -> bytes:
    """As in the original's Python version: one row of 3,072 bytes for each image, red first."""
    data = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), -1)
    return pickle.dumps({b"data": data, b"labels": labels.tolist()})


@pytest.fixture
def arrays(monkeypatch: pytest.MonkeyPatch) -> Arrays:
    """Made-up images, which `load_cifar10` takes for the true CIFAR-10 throughout the test; no network."""
    arrays = made_arrays()
    edition = Edition("CIFAR-10", PARTS * EACH, TESTS, fingerprint="", image=(32, 32, 3))
    monkeypatch.setattr(cifar, "CIFAR10", edition)
    batches = tuple(
        cifar.Batch(b.name, len(content[1]), hashlib.md5(batch_bytes(*content)).hexdigest())
        for b, content in zip(cifar.BATCHES, split(arrays), strict=True)
    )
    monkeypatch.setattr(cifar, "BATCHES", batches)
    monkeypatch.setattr(fetch, "_answers", lambda url: False)
    return arrays


def split(arrays: Arrays) -> list[tuple[NDArray[np.generic], NDArray[np.generic]]]:
    """The six batches: images and labels."""
    cut = [slice(EACH * i, EACH * (i + 1)) for i in range(PARTS)]
    return [
        *((arrays["x_train"][c], arrays["y_train"][c]) for c in cut),
        (arrays["x_test"], arrays["y_test"]),
    ]


def write_npz(root: Path, arrays: Arrays) -> Path:
    root.mkdir(exist_ok=True, parents=True)
    np.savez(root / "cifar10.npz", **arrays)  # type: ignore[arg-type]
    return root / "cifar10.npz"


def write_batches(root: Path, arrays: Arrays) -> Path:
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for batch, content in zip(cifar.BATCHES, split(arrays), strict=True):
        (folder / batch.name).write_bytes(batch_bytes(*content))
    return folder


def refuses(root: Path, *parts: str) -> None:
    with pytest.raises(DataError) as caught:
        load_cifar10(root)
    for part in ("expected", "found", *parts):
        assert part in str(caught.value)
    assert str(caught.value) in cifar.describe_cifar10(root)


def test_both_containers_hold_the_same_images(tmp_path: Path, arrays: Arrays) -> None:
    write_npz(tmp_path / "keras", arrays)
    write_batches(tmp_path / "torchvision", arrays)
    keras, torchvision = load_cifar10(tmp_path / "keras"), load_cifar10(tmp_path / "torchvision")
    assert keras.fingerprint == torchvision.fingerprint
    assert keras.source == "cifar10.npz in the data root"
    assert torchvision.source == "cifar-10-batches-py in the data root"
    assert torchvision.description == "CIFAR-10", "its batches have the original's checksums"
    for dataset in (keras, torchvision):
        for part, key in ((dataset.train, "train"), (dataset.test, "test")):
            assert part.images.dtype == torch.uint8
            assert part.images.is_contiguous()
            assert part.labels.tolist() == arrays[f"y_{key}"].tolist()
            for (n, row, column), channel in [((1, 2, 3), 0), ((3, 31, 0), 2)]:
                assert part.images[n, channel, row, column] == arrays[f"x_{key}"][n, row, column, channel]


def test_a_column_of_labels_is_keras_own_layout(tmp_path: Path, arrays: Arrays) -> None:
    columns = {k: v[:, None].astype(np.int64) if k[0] == "y" else v for k, v in arrays.items()}
    write_npz(tmp_path, columns)
    assert load_cifar10(tmp_path).train.labels.tolist() == arrays["y_train"].tolist()


@pytest.mark.parametrize(
    ("key", "change", "parts"),
    [
        ("x_train", lambda a: a[:-1], ["(30, 32, 32, 3)", "(29, 32, 32, 3)"]),
        ("x_test", lambda a: a.transpose(0, 3, 1, 2), ["(4, 32, 32, 3)", "(4, 3, 32, 32)"]),
        ("x_test", lambda a: a / 255, ["uint8", "float64"]),
        ("y_test", lambda a: a + 7, ["y_test between 0 and 9", "7 to 10"]),
        ("y_train", lambda a: np.stack([a, a], 1), ["(30,)", "(30, 2)"]),
    ],
)
def test_a_foreign_npz_is_refused(tmp_path: Path, arrays: Arrays, key: str, change, parts: list[str]) -> None:
    file = write_npz(tmp_path, arrays | {key: change(arrays[key])})
    refuses(tmp_path, str(file), "Remove it, or point SPARSE_ROBUST_DATA", *parts)


def test_a_truncated_npz_is_refused(tmp_path: Path, arrays: Arrays) -> None:
    file = write_npz(tmp_path, arrays)
    file.write_bytes(file.read_bytes()[:-100])
    refuses(tmp_path, str(file), "complete .npz archive")


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.mkdir, (self.trace,)


def test_an_altered_batch_is_refused_and_never_unpickled(tmp_path: Path, arrays: Arrays) -> None:
    file = write_batches(tmp_path, arrays) / "data_batch_3"
    file.write_bytes(pickle.dumps(Bomb(tmp_path / "trace")))
    refuses(tmp_path, str(file), "MD5", "Remove it")
    assert not (tmp_path / "trace").exists()


def test_an_incomplete_folder_is_refused(tmp_path: Path, arrays: Arrays) -> None:
    folder = write_batches(tmp_path, arrays)
    (folder / "test_batch").unlink()
    refuses(tmp_path, str(folder), "test_batch", "only data_batch_1")


def test_without_data_the_error_says_where_to_get_it(tmp_path: Path, arrays: Arrays) -> None:
    with pytest.raises(MissingDataError, match=r"neither cifar10\.npz nor cifar-10-batches-py") as caught:
        load_cifar10(tmp_path)
    for part in (str(tmp_path), "does not answer", "cifar-10-python.tar.gz", "--data"):
        assert part in str(caught.value)
    with pytest.raises(MissingDataError, match="nothing was downloaded"):
        load_cifar10(tmp_path / "absent", download=False)
    assert not (tmp_path / "absent").exists()
    assert "stops if it cannot be had" in cifar.describe_cifar10(tmp_path)


def test_a_download_comes_whole_or_not_at_all(
    tmp_path: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(staging: Path) -> None:
        (write_batches(staging, arrays) / "data_batch_2").write_bytes(b"")

    monkeypatch.setattr(fetch, "fetch_cifar10", torn)
    with pytest.raises(DataError, match="data_batch_2"):
        load_cifar10(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["cifar10.lock"]
    monkeypatch.setattr(fetch, "fetch_cifar10", lambda staging: write_batches(staging, arrays))
    first = load_cifar10(tmp_path)
    assert first.source == "torchvision's download, now in the data root"
    assert load_cifar10(tmp_path, download=False).fingerprint == first.fingerprint
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cifar-10-batches-py", "cifar10.lock"]


def test_torchvision_is_asked_only_if_it_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    asked = []
    monkeypatch.setattr(
        datasets,
        "CIFAR10",
        type(
            "CIFAR10",
            (),
            {
                "url": "https://a.invalid/x",
                "__init__": (lambda self, root, download: asked.append((root, download))),
            },
        ),
    )
    monkeypatch.setattr(fetch, "_answers", lambda url: url == "https://a.invalid/x")
    fetch.fetch_cifar10(tmp_path)
    assert asked == [(tmp_path, True)]
    monkeypatch.setattr(fetch, "_answers", lambda url: False)
    with pytest.raises(fetch.UnavailableError, match="does not answer"):
        fetch.fetch_cifar10(tmp_path)
    assert len(asked) == 1


def test_what_the_images_are_is_told_by_their_content(
    tmp_path: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_npz(tmp_path, arrays)
    dataset = load_cifar10(tmp_path)
    assert dataset.description == "images in the layout of CIFAR-10, of unknown provenance"
    sums = tuple(int(arrays["x_train"][..., c].astype(np.int64).sum()) for c in range(3))
    monkeypatch.setattr(cifar, "CHANNEL_SUMS", sums)
    assert load_cifar10(tmp_path).description == "CIFAR-10, by its channel sums"
    monkeypatch.setattr(cifar, "KNOWN", {dataset.fingerprint: cifar.RECODED})
    assert load_cifar10(tmp_path).description == "CIFAR-10, JPEG q75 re-encoding"
    assert (
        f"CIFAR-10, JPEG q75 re-encoding: 30 training and 4 test images, fingerprint {dataset.fingerprint}"
        in (cifar.describe_cifar10(tmp_path))
    )


def test_the_channel_sums_are_those_of_the_means_in_use() -> None:
    means = (125.306918046875, 122.950394140625, 113.86538318359375)
    assert tuple(round(mean * 50_000 * 32 * 32) for mean in means) == cifar.CHANNEL_SUMS
    assert all(s / (50_000 * 32 * 32) == m for s, m in zip(cifar.CHANNEL_SUMS, means, strict=True))


def test_mnist_beside_it_is_another_file(tmp_path: Path, arrays: Arrays) -> None:
    write_npz(tmp_path, arrays)
    assert load_mnist(tmp_path, download=False).description == "MNIST sample, 12,000 digits"


def test_made_images_are_the_same_everywhere_and_learnable() -> None:
    made = made_images()
    assert made.fingerprint == made_images().fingerprint != made_images(seed=1).fingerprint
    assert (len(made.train), len(made.test)) == (640, 100)
    assert made.train.images.shape[1:] == (3, 32, 32)
    assert made.train.labels.bincount().tolist() == [64] * 10
    means = torch.stack([made.train.images[made.train.labels == k].float().mean(0) for k in range(10)])
    distance = (made.test.images.float().unsqueeze(1) - means).flatten(2).norm(dim=2)
    assert torch.equal(distance.argmin(1), made.test.labels), "the nearest class mean is the class"
