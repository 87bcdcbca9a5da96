"""The four Caffe models behind the paper's Table 2, as their authors published them.

They belong to dynamic network surgery (Guo, Yao, Chen 2016) and lie in its repository, each file pinned by
a commit that holds it and by its content. The package carries none: each is found in the data root, or
downloaded into it once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from .dataset import data_error
from .fetch import UnavailableError, fetch_file
from .mnist import data_root

FOLDER = "dns"
"""Where the files lie below the data root."""

REPOSITORY = "https://raw.githubusercontent.com/yiwenguo/Dynamic-Network-Surgery"


class MissingModelError(FileNotFoundError):
    """A published model that is neither in the data root nor to be had from its authors' repository."""


@dataclass(frozen=True)
class PublishedFile:
    """Where one file comes from.

    Attributes:
        place: commit and path in the authors' repository.
        sha256: of its content, in hexadecimal.
    """

    place: str
    sha256: str

    @property
    def url(self) -> str:
        """Where it is downloaded from."""
        return f"{REPOSITORY}/{self.place}"


PUBLISHED_MODELS: Mapping[str, PublishedFile] = {
    "caffe_lenet300100_original": PublishedFile(
        "722cf114bc0020344e80446f647d1ae411ce6eab/models/lenet300100/caffe_lenet300100_original.caffemodel",
        "8817d098d5d4eed203a88292f9ffb9d02e66669a075cd210f82f1410659159bd",
    ),
    "caffe_lenet300100_sparse": PublishedFile(
        "722cf114bc0020344e80446f647d1ae411ce6eab/models/lenet300100/caffe_lenet300100_sparse.caffemodel",
        "6c14afc8d98aadc553b6f251b8599c66a0c2f07485b3c665f6af8863e6372abc",
    ),
    "caffe_lenet5_original": PublishedFile(
        "67e6a0b8e3be5f0c8745fdfeb3ce5f808992f2d4/models/lenet5/caffe_lenet5_original.caffemodel",
        "96b8c61110b68aed87801c67ce87a40cf17f6a56884eff8b5c7e2601151be736",
    ),
    "caffe_lenet5_sparse": PublishedFile(
        "e0f32b5c397da22ad62a02f698d546080b761f09/caffe_lenet5_sparse.caffemodel",
        "daa4331aea0930bb8b79f6958097afdb7b8995932b59a11f26497c95fd79ddac",
    ),
}
"""By file name without its ending."""


def published_model(name: str, root: Path | str | None = None) -> Path:
    """The checked file of a published model, from the data root or else downloaded into it.

    Args:
        name: a key of ``PUBLISHED_MODELS``.
        root: the data root (see :func:`~.mnist.data_root`).

    Raises:
        KeyError: if no model is published under that name; the message lists the known ones.
        MissingModelError: if the file is not there and cannot be downloaded; says where to get it.
        DataError: if the file that is there is truncated or altered.
    """
    if name not in PUBLISHED_MODELS:
        raise KeyError(f"no published model {name!r}; known: {', '.join(PUBLISHED_MODELS)}")
    source = PUBLISHED_MODELS[name]
    path = data_root(root) / FOLDER / f"{name}.caffemodel"
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.parent / "dns.lock"):
                if not path.exists():  # another process may have fetched it while this one waited
                    fetch_file(source.url, path, source.sha256)
        except (UnavailableError, OSError) as failure:
            raise MissingModelError(
                f"{path} is not there and could not be downloaded ({failure});"
                f" get it from {source.url} and put it there, or name the folder that holds {FOLDER}/ with"
                " --data or SPARSE_ROBUST_DATA"
            ) from failure
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != source.sha256:
        raise data_error(
            path,
            expected=f"sha256 {source.sha256[:12]}…",
            found=f"{digest[:12]}…",
            remedy="Delete it, then it is downloaded again.",
        )
    return path
