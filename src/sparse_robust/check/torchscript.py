"""TorchScript archives: programs, compiled by PyTorch and run, once their operators are known to be harmless.

``torch.jit.load`` uses no Python pickle: its own reader builds tensors and TorchScript classes only. But a
TorchScript program is a program, which may read and write files (torch.save, torch.from_file). So its
source, which lies in the archive as text, is read first, and refused if it names an operator that is not
listed here. PyTorch has deprecated TorchScript; torch.export is its successor.
"""

from __future__ import annotations

import ast
import io
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from .exported import ATEN
from .graph import first_line
from .model import Evaluation, Model, ModelError, plain, weights_among

OPERATORS = {name.partition(".")[0] for name in ATEN} | {
    *("_convolution", "size", "dim", "len", "numel", "format", "list", "append", "warn", "mean", "sum"),
    *("eq", "ne", "lt", "le", "gt", "ge", "__is__", "__isnot__", "__not__", "__and__", "__or__"),
    *("__getitem__", "__contains__", "Int", "IntImplicit", "Float", "FloatImplicit", "Bool", "floordiv"),
    *("remainder", "slice", "select", "item", "max_pool1d", "avg_pool1d", "pow", "sqrt", "rsqrt", "abs"),
}
"""Functions that a program may call as ``torch.NAME``."""

PRIMITIVES = {
    *("prim.NumToTensor", "prim.RaiseException", "prim.min", "prim.max", "prim.unchecked_cast"),
    *("prim.TupleUnpack", "prim.TupleIndex", "prim.ListUnpack", "prim.device", "prim.dtype"),
}
"""Functions that it may call as ``ops.NAME``."""


def read_torchscript(path: Path, archive: zipfile.ZipFile, name: str) -> Model:
    """The network in a TorchScript archive, in evaluation mode.

    Raises:
        ModelError: if the archive is damaged, or its program calls something that is not listed.
    """
    for called in _calls(archive):
        raise ModelError(
            f"its TorchScript program uses {called}, which is not among the operators that are run; "
            "export the network with torch.export or as ONNX"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # that TorchScript is deprecated
            module = torch.jit.load(io.BytesIO(path.read_bytes()), map_location="cpu")
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"a TorchScript archive that cannot be loaded ({first_line(error)}); save it again"
        ) from None
    module.eval().float()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    state = {key: plain(value) for key, value in module.state_dict().items()}

    def evaluate(x: Tensor) -> Evaluation:
        try:
            return module(x), None
        except (RuntimeError, torch.jit.Error) as error:
            reason = [line for line in str(error).splitlines() if line.strip()][-1].strip()
            raise ModelError(f"cannot be run on inputs of shape {[*x.shape[1:]]}: {reason}") from None

    return Model(name, "TorchScript", weights_among(state), evaluate)


def _calls(archive: zipfile.ZipFile) -> Iterator[str]:
    """Whatever the program may call that is not listed."""
    names = [name.lower() for name in archive.namelist()]  # PyTorch's reader may not tell cases apart
    if len(set(names)) < len(names):
        yield "two files of one name"  # readers differ in which of them they take
    for name, member in zip(names, archive.infolist(), strict=True):
        content = archive.read(member) if name.endswith((".py", ".pkl")) else b""
        if b"torch.classes" in content:
            yield "a class of PyTorch's extensions (torch.classes)"
        if name.endswith(".py"):
            try:
                yield from _unlisted(ast.parse(content.decode()))
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                yield f"source text that cannot be parsed ({name})"


def _unlisted(tree: ast.AST) -> Iterator[str]:
    """Names in a source text that are not listed: functions of PyTorch, and methods that take a text."""
    within: set[ast.AST] = set()
    for node in ast.walk(tree):  # a.b.c comes before a.b and a
        if isinstance(node, ast.Name | ast.Attribute) and node not in within:
            root, *path = _chain(node, within)
            called = ".".join(path)
            if (root == "torch" and called not in OPERATORS) or (root == "ops" and called not in PRIMITIVES):
                yield ".".join((root, *path))
            if root != "__torch__":
                yield from filter(_reaches_outside, path)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            yield from filter(_reaches_outside, (str(getattr(arg, "value", "?")) for arg in node.args[1:]))


def _chain(node: ast.AST, within: set[ast.AST]) -> list[str]:
    """``a.b.c`` as [a, b, c], with an empty root for what is no name; notes the nodes that it consists of."""
    path: list[str] = []
    while isinstance(node, ast.Attribute):
        path.append(node.attr)
        node = node.value
        within.add(node)
    return [node.id if isinstance(node, ast.Name) else "", *reversed(path)]


def _reaches_outside(name: str) -> bool:
    """Whether TorchScript knows an unlisted method of that name that takes a text, as a path would be."""
    schemas = torch._C._jit_get_schemas_for_operator(f"aten::{name}")
    return name not in OPERATORS and any(
        str(argument.type) in ("str", "Optional[str]") for schema in schemas for argument in schema.arguments
    )


__all__ = ["read_torchscript"]
