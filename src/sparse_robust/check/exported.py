"""torch.export archives (``.pt2``), read without ``torch.export.load``.

``torch.export.load`` may unpickle tensors and sample inputs, evaluates strings as Python expressions
(sympify), resolves operators as any attribute path below ``torch``, and loads compiled libraries. So it
can execute what a stranger wrote. An archive's graph is JSON and its weights are raw numbers, so both
are read here as such; nothing else in the archive is opened, and an operator runs only if it is listed.

Format: torch/_export/serde/schema.py and torch/export/pt2_archive of PyTorch 2.8 and newer.
"""

from __future__ import annotations

import json
import operator
import zipfile
from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor

from .graph import Graph, Step, Values, first_line, logits_of
from .model import Model, ModelError, plain, weights_among

DTYPES = {
    **{1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16},
    **{7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16},
}
"""The schema's ScalarType."""

ATEN = {
    *("linear.default", "addmm.default", "mm.default", "matmul.default", "t.default"),
    *("conv1d.default", "conv2d.default", "conv2d.padding", "convolution.default"),
    *("relu.default", "relu_.default", "leaky_relu.default", "leaky_relu_.default", "elu.default"),
    *("gelu.default", "silu.default", "silu_.default", "tanh.default", "sigmoid.default", "softplus.default"),
    *("hardtanh.default", "hardtanh_.default", "clamp.default", "clamp_min.default", "exp.default"),
    *("max_pool2d.default", "max_pool2d_with_indices.default", "avg_pool2d.default", "mean.dim"),
    *("adaptive_avg_pool2d.default", "adaptive_avg_pool1d.default", "adaptive_max_pool2d.default"),
    *("batch_norm.default", "_native_batch_norm_legit_no_training.default", "layer_norm.default"),
    *("group_norm.default", "dropout.default", "dropout_.default", "alias.default", "clone.default"),
    *("contiguous.default", "flatten.using_ints", "view.default", "reshape.default"),
    *("_unsafe_view.default", "permute.default", "transpose.int", "unsqueeze.default", "squeeze.dim"),
    *("squeeze.dims", "cat.default", "pad.default", "constant_pad_nd.default", "sum.dim_IntList"),
    *("add.Tensor", "add_.Tensor", "sub.Tensor", "mul.Tensor", "div.Tensor", "neg.default"),
    *("softmax.int", "_softmax.default", "log_softmax.int", "_log_softmax.default", "sym_size.int"),
}
"""The ATen operators that may run: layers, activations and shapes, each a pure function of its arguments."""

INTEGERS: dict[str, Callable[..., Any]] = {
    "_operator.add": operator.add,
    "_operator.sub": operator.sub,
    "_operator.mul": operator.mul,
    "_operator.floordiv": operator.floordiv,
}
"""Arithmetic on sizes."""

LINEAR = {"linear.default": "input", "addmm.default": "mat1", "mm.default": "self", "matmul.default": "self"}
"""Which argument a linear layer reads its data from."""

PREFIX = "torch.ops.aten."


def read_exported(archive: zipfile.ZipFile, name: str) -> Model:
    """The network in a torch.export archive with one model.

    Raises:
        ModelError: if the archive holds pickled values, an operator that is not listed, or no sound graph.
    """
    try:
        return _model(archive, name)
    except (ModelError, zipfile.BadZipFile):
        raise
    except Exception as error:  # JSON of another make: anything may be missing or of another type
        raise ModelError(
            f"a torch.export archive that cannot be read ({type(error).__name__}: {first_line(error)}); "
            "save it again with torch.export.save of PyTorch 2.8 or newer"
        ) from None


def _model(archive: zipfile.ZipFile, name: str) -> Model:
    members = archive.namelist()
    graphs = [member for member in members if member.partition("/")[2] == "models/model.json"]
    if len(graphs) != 1:
        raise ModelError(
            "a torch.export archive without models/model.json; save it again with torch.export.save"
        )
    root = graphs[0].partition("/")[0]
    if f"{root}/byteorder" in members and archive.read(f"{root}/byteorder") != b"little":
        raise ModelError("an archive from a big-endian machine; save it again on a little-endian one")
    module = json.loads(archive.read(graphs[0]))["graph_module"]
    graph = module["graph"]
    stored = {
        fqn: value
        for kind in ("weights", "constants")
        for fqn, value in _payload(archive, f"{root}/data/{kind}", kind)
    }
    constants, data = _inputs(module["signature"]["input_specs"], stored)
    (result,) = graph["outputs"]
    steps = [_step(node) for node in graph["nodes"]]
    output, notes = logits_of(steps, result["as_tensor"]["name"])
    batch, *shape = (size.get("as_int") for size in graph["tensor_values"][data]["sizes"])
    network = Graph(steps, constants, data, output, batch)
    return Model(name, "torch.export", weights_among(constants), network, tuple(shape), notes)


def _payload(archive: zipfile.ZipFile, folder: str, kind: str) -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) of every weight or constant: raw numbers, never pickled ones."""
    config = json.loads(archive.read(f"{folder}/model_{kind}_config.json"))["config"]
    for fqn, entry in config.items():
        meta = entry["tensor_meta"]
        if entry["use_pickle"] or meta is None:
            raise ModelError(
                f"{fqn} is stored as a pickled object, which is never opened; export plain tensors instead"
            )
        dtype = DTYPES[meta["dtype"]]
        content = bytearray(archive.read(f"{folder}/{entry['path_name']}"))
        numbers = torch.frombuffer(content, dtype=dtype) if content else torch.zeros(0, dtype=dtype)
        sizes, strides = ([length["as_int"] for length in meta[axis]] for axis in ("sizes", "strides"))
        last = sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
        offset = meta["storage_offset"]["as_int"]
        if min([*sizes, *strides, offset], default=0) < 0 or (prod(sizes) and offset + last >= len(numbers)):
            raise ModelError(
                f"{fqn} of shape {sizes} reaches beyond its {len(numbers)} numbers: the file is damaged"
            )
        yield fqn, plain(numbers.as_strided(sizes, strides, offset))


def _inputs(specs: list[dict[str, Any]], stored: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """The graph's inputs: constants by name, and the name of the one that the user provides."""
    constants: dict[str, Tensor] = {}
    data: list[str] = []
    for spec in specs:
        ((kind, entry),) = spec.items()
        if kind == "user_input":
            data.append(entry["arg"]["as_tensor"]["name"])
        elif kind in ("parameter", "buffer", "tensor_constant"):
            constants[entry["arg"]["name"]] = stored[entry[f"{kind}_name"]]
        else:
            raise ModelError(f"an input of the kind {kind!r}, which is neither data nor weights")
    if len(data) != 1:
        raise ModelError(
            f"a network with {len(data)} inputs; one that takes a batch of examples alone is needed"
        )
    return constants, data[0]


def _step(node: Mapping[str, Any]) -> Step:
    target = node["target"]
    name = target.removeprefix(PREFIX)
    if target in INTEGERS:
        function = INTEGERS[target]
    elif target.startswith(PREFIX) and name in ATEN:
        packet, _, overload = name.partition(".")
        function = getattr(getattr(torch.ops.aten, packet), overload)
    else:
        raise ModelError(
            f"operator {target} is not among those that are run; export a network of common layers"
        )
    given = {item["name"]: (item["kind"], item["arg"]) for item in node["inputs"]}
    if any(given[flag][1].get("as_bool") for flag in ("train", "training") if flag in given):
        raise ModelError(f"{name} is in training mode; call model.eval() and export again")
    getters = [(key, kind == 2, _argument(value)) for key, (kind, value) in given.items()]

    def call(values: Values) -> Any:
        positional = [get(values) for _, keyword, get in getters if not keyword]
        return function(*positional, **{key: get(values) for key, keyword, get in getters if keyword})

    def source(argument: str) -> str:
        return str(given[argument][1]["as_tensor"]["name"])

    return Step(
        name,
        tuple(_output(output) for output in node["outputs"]),
        call,
        linear=source(LINEAR[name]) if name in LINEAR else None,
        softmax=source("self") if name in ("softmax.int", "_softmax.default") else None,
    )


def _output(output: Mapping[str, Any]) -> str:
    ((kind, value),) = output.items()
    return str(value["as_name"] if kind == "as_sym_int" else value["name"])


def _argument(argument: Mapping[str, Any]) -> Callable[[Values], Any]:
    """How to get an argument's value once the values before it are known."""
    ((kind, value),) = argument.items()
    match kind:
        case "as_tensor":
            return lambda values: values[value["name"]]
        case "as_tensors":
            return lambda values: [values[item["name"]] for item in value]
        case "as_sym_int":
            return _size(value)
        case "as_sym_ints":
            sizes = [_size(item) for item in value]
            return lambda values: [size(values) for size in sizes]
        case "as_none":
            return lambda values: None
        case "as_int" | "as_ints" | "as_float" | "as_floats" | "as_bool" | "as_bools" | "as_string":
            return lambda values: value
    raise ModelError(f"an argument of the kind {kind!r}, which common layers do not take")


def _size(item: Mapping[str, Any]) -> Callable[[Values], int]:
    return lambda values: values[item["as_name"]] if "as_name" in item else item["as_int"]


__all__ = ["ATEN", "read_exported"]
