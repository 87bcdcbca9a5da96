"""Which format a model file has, by its content, and the reader for it. No pickle is ever opened."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from sparse_robust.data import path_of

from .architectures import ARCHITECTURES, read_caffe, read_safetensors
from .archives import Archive
from .exported import read_exported
from .memory import out_of_memory
from .model import Model, ModelError
from .onnx_files import read_onnx

PICKLED = (
    "a Python pickle, which is never opened, because that runs whatever code it holds; where you trust it, "
    "load it yourself and save it with torch.export.save, torch.onnx.export or safetensors.torch.save_file"
)

TORCHSCRIPT = (
    "a TorchScript program, which is not run: PyTorch has retired TorchScript, and such a program may write "
    "files; save the network itself with torch.export.save(torch.export.export(model.eval(), (x,)), 'm.pt2') "
    "or torch.onnx.export(model.eval(), (x,), 'm.onnx')"
)

UNKNOWN = (
    "neither a torch.export archive, ONNX, safetensors nor a .caffemodel; "
    "from Keras or another framework, export ONNX"
)

POINTER = "a pointer of Git LFS, not the file itself; fetch it with git lfs pull"

PAGE = "a web page, not a model; download the file itself"

MEMORY = "does not fit into the memory that is free"

PICKLE, ZIP, HDF5, ONNX, LFS = b"\x80", b"PK\x03\x04", b"\x89HDF", b"\x08", b"version h"
"""How files begin; an ONNX file with its first field, ir_version."""


def load_model(file: Path | str, name: str | None = None, architecture: str | None = None) -> Model:
    """The classifier in a file, in evaluation mode on the CPU.

    Args:
        file: a torch.export archive, ONNX, safetensors or a ``.caffemodel``.
        name: for messages and tables; the path as given unless told.
        architecture: a key of ``ARCHITECTURES``, for a file that holds weights alone; recognised by the
            shapes of the weights unless told.

    Raises:
        FileNotFoundError: if there is no such file.
        ModelError: naming the file, if it cannot be read.
    """
    if architecture is not None and architecture not in ARCHITECTURES:
        raise ModelError(f"no architecture {architecture!r}; known are {', '.join(ARCHITECTURES)}")
    path, name = path_of(file), name or str(file)
    try:
        return _read(path, name, architecture)
    except ModelError as error:
        raise ModelError(f"{file}: {error}") from None
    except Exception as error:
        if out_of_memory(error):
            raise ModelError(f"{file}: {MEMORY}") from None
        raise


def _read(path: Path, name: str, architecture: str | None) -> Model:
    with path.open("rb") as stream:
        start = stream.read(9)
    if start.startswith(ZIP):
        return _read_zip(path, name)
    if start[8:] == b"{":
        return read_safetensors(path, name, architecture)
    if start.startswith(PICKLE):
        raise ModelError(PICKLED)
    if start.startswith(ONNX):
        return read_onnx(path, name)
    if start.startswith(LFS):
        raise ModelError(POINTER)
    if start.lower().startswith((b"<!doctype", b"<html")):
        raise ModelError(PAGE)
    if start.startswith(HDF5) or not start:
        raise ModelError(UNKNOWN)
    try:
        return read_caffe(path, name, architecture)
    except ModelError:
        if path.suffix == ".caffemodel":
            raise
        raise ModelError(UNKNOWN) from None


def _read_zip(path: Path, name: str) -> Model:
    try:
        with zipfile.ZipFile(path) as opened:
            members = {member.partition("/")[2] for member in opened.namelist()}
            if "archive_format" in members or "serialized_exported_program.json" in opened.namelist():
                return read_exported(Archive(path, opened), name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"a damaged archive ({error}); save it again") from None
    if "constants.pkl" in members and any(member.startswith("code/") for member in members):
        raise ModelError(TORCHSCRIPT)
    raise ModelError(PICKLED if any(member.endswith(".pkl") for member in members) else UNKNOWN)


__all__ = ["load_model"]
