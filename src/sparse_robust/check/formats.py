"""Which format a model file has, by its content, and the reader for it. No pickle is ever opened."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from .architectures import read_caffe, read_safetensors
from .exported import read_exported
from .model import Model, ModelError
from .onnx_files import read_onnx
from .torchscript import read_torchscript

PICKLED = (
    "a Python pickle, which is never opened, because that runs whatever code it holds; where you trust it, "
    "load it yourself and save it with torch.export.save, torch.onnx.export or safetensors.torch.save_file"
)

UNKNOWN = (
    "neither TorchScript, a torch.export archive, ONNX, safetensors nor a .caffemodel; "
    "from Keras or another framework, export ONNX"
)

PICKLE, ZIP, HDF5, ONNX = b"\x80", b"PK\x03\x04", b"\x89HDF", b"\x08"
"""How files begin; an ONNX file with its first field, ir_version."""


def load_model(file: Path | str, name: str | None = None) -> Model:
    """The classifier in a file, in evaluation mode on the CPU.

    Args:
        file: TorchScript, a torch.export archive, ONNX, safetensors or a ``.caffemodel``.
        name: for messages and tables; the path as given unless told.

    Raises:
        FileNotFoundError: if there is no such file.
        ModelError: naming the file, if it cannot be read.
    """
    path, name = Path(file), name or str(file)
    try:
        return _read(path, name)
    except ModelError as error:
        raise ModelError(f"{file}: {_printable(str(error))}") from None


def _printable(text: str) -> str:
    """One line, whatever the names are that a file gives to its parts."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _read(path: Path, name: str) -> Model:
    with path.open("rb") as stream:
        start = stream.read(9)
    if start.startswith(ZIP):
        return _read_zip(path, name)
    if start[8:] == b"{":
        return read_safetensors(path, name)
    if start.startswith(PICKLE):
        raise ModelError(PICKLED)
    if start.startswith(ONNX):
        return read_onnx(path, name)
    if start.startswith(HDF5) or not start:
        raise ModelError(UNKNOWN)
    try:
        return read_caffe(path, name)
    except ModelError:
        if path.suffix == ".caffemodel":
            raise
        raise ModelError(UNKNOWN) from None


def _read_zip(path: Path, name: str) -> Model:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {member.partition("/")[2] for member in archive.namelist()}
            if "archive_format" in members or "serialized_exported_program.json" in archive.namelist():
                return read_exported(archive, name)
            if "constants.pkl" in members and any(member.startswith("code/") for member in members):
                return read_torchscript(path, archive, name)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ModelError(f"a damaged archive ({error}); save it again") from None
    raise ModelError(PICKLED if any(member.endswith(".pkl") for member in members) else UNKNOWN)


__all__ = ["load_model"]
