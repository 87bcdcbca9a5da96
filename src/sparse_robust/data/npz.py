"""Arrays of a NumPy archive, through NumPy: headers can be looked at before anything is unpacked."""

from __future__ import annotations

import zipfile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray


def names(archive: zipfile.ZipFile) -> list[str]:
    """The arrays that an archive holds."""
    return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    """Shape and type of an array, of which only the header is unpacked."""
    with archive.open(f"{name}.npy") as stream:
        return _header(stream)


def array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """An array; never one of Python objects, which would have to be unpickled."""
    with archive.open(f"{name}.npy") as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype
