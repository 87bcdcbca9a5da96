"""torch.export archives (``.pt2``), read without ``torch.export.load``.

``torch.export.load`` may unpickle tensors and sample inputs, evaluates strings as Python expressions
(sympify), resolves operators as any attribute path below ``torch``, and loads compiled libraries. So it
can execute what a stranger wrote. An archive's graph is JSON and its weights are raw numbers, so both
are read here as such; nothing else in the archive is opened, and an operator runs only if it is listed.

Format: torch/_export/serde/schema.py and torch/export/pt2_archive of PyTorch 2.8 and newer.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor

from . import aten
from .archives import Archive
from .graph import Graph, Product, Step, Values, build
from .heads import check_head, without_head
from .limits import MAX_STEPS
from .memory import out_of_memory
from .model import Model, ModelError, plain
from .network import counted
from .text import first_line

DTYPES = {
    **{1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16},
    **{7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16},
}
"""The schema's ScalarType."""

MAX_SIZE = 2**63
"""A size is a 64-bit number; arithmetic on longer ones was made to waste time."""


def read_exported(archive: Archive, name: str) -> Model:
    """The network in a torch.export archive with one model.

    Raises:
        ModelError: if the archive holds pickled values, an operator that is not listed, or no sound graph.
    """
    try:
        return _model(archive, name)
    except (ModelError, zipfile.BadZipFile):
        raise
    except Exception as error:  # JSON of another make: anything may be missing or of another type
        if out_of_memory(error):
            raise
        raise ModelError(
            f"a torch.export archive that cannot be read ({type(error).__name__}: {first_line(error)}); "
            "save it again with torch.export.save of PyTorch 2.8 or newer"
        ) from None


def _model(archive: Archive, name: str) -> Model:
    graphs = [member for member in archive.names if member.partition("/")[2] == "models/model.json"]
    if len(graphs) != 1:
        raise ModelError(
            "a torch.export archive without models/model.json; save it again with torch.export.save"
        )
    root = graphs[0].partition("/")[0]
    if f"{root}/byteorder" in archive.names and archive.read(f"{root}/byteorder") != b"little":
        raise ModelError("an archive from a big-endian machine; save it again on a little-endian one")
    module = archive.json(graphs[0])["graph_module"]
    graph = module["graph"]
    stored = {
        fqn: value
        for kind in ("weights", "constants")
        for fqn, value in _payload(archive, f"{root}/data/{kind}", kind)
    }
    names, data = _inputs(module["signature"]["input_specs"])
    if len(graph["outputs"]) != 1 or "as_tensor" not in graph["outputs"][0]:
        raise ModelError(
            f"a network with {len(data)} inputs and {len(graph['outputs'])} outputs; "
            "one that takes a batch of examples alone and returns logits alone is needed"
        )
    if len(graph["nodes"]) > MAX_STEPS:
        raise ModelError(f"a graph of {len(graph['nodes'])} operators; at most {MAX_STEPS} are run")
    described = graph["tensor_values"][data]
    batch, *shape = (size.get("as_int") for size in described["sizes"])
    dtype = DTYPES[described["dtype"]]
    if not dtype.is_floating_point and dtype != torch.uint8:
        raise ModelError(f"takes inputs of {dtype}; floating-point numbers or uint8 are needed")
    steps = [_step(node) for node in graph["nodes"] if not _only_checks(node)]
    constants = {argument: stored[fqn] for argument, fqn in names.items()}
    output = graph["outputs"][0]["as_tensor"]["name"]
    whole = build(steps, constants, data, output, batch, labels=names)
    network, head = without_head(whole)
    notes = [head] if head else []
    notes.append(counted(network, stored))
    return Model(
        name,
        "torch.export",
        network.weights,
        network,
        tuple(shape),
        tuple(notes),
        takes_bytes=dtype == torch.uint8,
        verify=lambda x: _verify(whole, network, x, dtype),
    )


def _verify(whole: Graph, network: Graph, x: Tensor, dtype: torch.dtype) -> None:
    """Compare the logits with the network's own output, and with its output for bytes if it takes those."""
    with torch.no_grad():
        x = x.round() if dtype == torch.uint8 else x
        check_head(whole, network, x)
        if dtype == torch.uint8:
            value = whole.evaluate(x, (whole.output,))[0]
            exact = whole.evaluate(x.to(torch.uint8), (whole.output,))[0]
            if not torch.allclose(value, exact, rtol=1e-3, atol=1e-5 * float(exact.abs().amax())):
                raise ModelError("computes with uint8 as no real number would; convert to float first")


def _payload(archive: Archive, folder: str, kind: str) -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) of every weight or constant: raw numbers, never pickled ones."""
    config = archive.json(f"{folder}/model_{kind}_config.json")["config"]
    contents: dict[str, bytearray] = {}
    for fqn, entry in config.items():
        meta, path = entry["tensor_meta"], entry["path_name"]
        if entry["use_pickle"] or meta is None:
            raise ModelError(
                f"{fqn} is stored as a pickled object, which is never opened; export plain tensors instead"
            )
        if path not in contents:
            contents[path] = bytearray(archive.read(f"{folder}/{path}"))
        dtype, content = DTYPES[meta["dtype"]], contents[path]
        numbers = torch.frombuffer(content, dtype=dtype) if content else torch.zeros(0, dtype=dtype)
        sizes, strides = ([length["as_int"] for length in meta[axis]] for axis in ("sizes", "strides"))
        last = sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
        offset = meta["storage_offset"]["as_int"]
        if min([*sizes, *strides, offset], default=0) < 0 or (prod(sizes) and offset + last >= len(numbers)):
            raise ModelError(
                f"{fqn} of shape {sizes} reaches beyond its {len(numbers)} numbers: the file is damaged"
            )
        if prod(sizes) > len(numbers):
            raise ModelError(f"{fqn} of shape {sizes} repeats {len(numbers)} numbers; export it contiguous")
        yield fqn, plain(numbers.as_strided(sizes, strides, offset))


def _inputs(specs: list[dict[str, Any]]) -> tuple[dict[str, str], str]:
    """The stored tensors by the names that the graph gives them, and the name of the one input."""
    names: dict[str, str] = {}
    data: list[str] = []
    for spec in specs:
        ((kind, entry),) = spec.items()
        if kind == "user_input":
            data.append(entry["arg"]["as_tensor"]["name"])
        elif kind in ("parameter", "buffer", "tensor_constant"):
            names[entry["arg"]["name"]] = entry[f"{kind}_name"]
        else:
            raise ModelError(f"an input of the kind {kind!r}, which is neither data nor weights")
    if len(data) != 1:
        raise ModelError(
            f"a network with {len(data)} inputs; one that takes a batch of examples alone is needed"
        )
    return names, data[0]


def _only_checks(node: Mapping[str, Any]) -> bool:
    return node["target"].removeprefix(aten.PREFIX) in aten.CHECKS


def _step(node: Mapping[str, Any]) -> Step:
    target = node["target"]
    name = target.removeprefix(aten.PREFIX)
    function = aten.function(target)
    if function is None:
        raise ModelError(
            f"operator {target} is not among those that are run; export common layers alone, or as ONNX"
        )
    given = {item["name"]: (item["kind"], item["arg"]) for item in node["inputs"]}
    if any(given[flag][1].get("as_bool") for flag in ("train", "training") if flag in given):
        raise ModelError(f"{name} is in training mode; call model.eval() and export again")
    getters = [(key, kind == 2, _argument(value)) for key, (kind, value) in given.items()]

    def call(values: Values) -> Any:
        positional = [get(values) for _, keyword, get in getters if not keyword]
        return _sized(function(*positional, **{key: get(values) for key, keyword, get in getters if keyword}))

    return Step(
        name,
        tuple(read for _, value in given.values() for read in _names(value)),
        tuple(read for output in node["outputs"] for read in _names(output)),
        call,
        product=_product(name, given),
        rearranges=name in aten.REARRANGES,
        in_place=name.partition(".")[0].endswith("_"),
    )


def _sized(result: Any) -> Any:
    if isinstance(result, int) and abs(result) >= MAX_SIZE:
        raise ModelError("computes a size of more than 64 bits")
    return tuple(result) if isinstance(result, list) else result


def _product(name: str, given: Mapping[str, tuple[int, Any]]) -> Product | None:
    if name == "einsum.default":
        operands = [item["name"] for item in given["tensors"][1]["as_tensors"]]
        return Product((operands[0], operands[1])) if len(operands) == 2 else None
    if name not in aten.PRODUCTS:
        return None
    left, right, batch_last = aten.PRODUCTS[name]
    sources = [given[argument][1]["as_tensor"]["name"] for argument in (left, right)]
    return Product((sources[0], sources[1]), (False, batch_last))


def _names(argument: Mapping[str, Any]) -> list[str]:
    """The values that an argument reads, or that an output defines."""
    ((kind, value),) = argument.items()
    items = value if isinstance(value, list) else [value]
    if kind in ("as_tensor", "as_tensors"):
        return [str(item["name"]) for item in items]
    if kind == "as_optional_tensors":
        return [name for item in items for name in _names(item)]
    if kind in ("as_sym_int", "as_sym_ints"):
        return [str(item["as_name"]) for item in items if "as_name" in item]
    return []


def _argument(argument: Mapping[str, Any]) -> Callable[[Values], Any]:
    """How to get an argument's value once the values before it are known."""
    ((kind, value),) = argument.items()
    match kind:
        case "as_tensor":
            return lambda values: values[value["name"]]
        case "as_tensors":
            return lambda values: [values[item["name"]] for item in value]
        case "as_optional_tensors":
            tensors = [_argument(item) for item in value]
            return lambda values: [tensor(values) for tensor in tensors]
        case "as_sym_int":
            return _size(value)
        case "as_sym_ints":
            sizes = [_size(item) for item in value]
            return lambda values: [size(values) for size in sizes]
        case "as_none" | "as_device" | "as_layout" | "as_memory_format":  # the CPU's own are taken
            return lambda values: None
        case "as_scalar_type":
            dtype = DTYPES[value]
            return lambda values: torch.float32 if dtype.is_floating_point else dtype
        case "as_int" | "as_ints" | "as_float" | "as_floats" | "as_bool" | "as_bools" | "as_string":
            return lambda values: value
    raise ModelError(f"an argument of the kind {kind!r}, which common layers do not take")


def _size(item: Mapping[str, Any]) -> Callable[[Values], int]:
    return lambda values: values[item["as_name"]] if "as_name" in item else item["as_int"]


__all__ = ["read_exported"]
