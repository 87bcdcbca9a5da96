"""What a file may ask of the machine: more is refused before it is computed or unpacked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.flop_counter import flop_registry

from .model import ModelError

MAX_FILE = 2**31
"""Bytes of a model file, and of all tensors that it refers to; protocol buffers cannot be longer."""

MAX_NUMBERS = 2**28
"""Numbers in one value that a network computes for one image, or in one stored tensor: 1 GiB as float32."""

MAX_WORK = 10**12
"""Floating-point operations for one image; a ResNet-152 takes 2 * 10^10, the largest transformers 10^12."""

MAX_STEPS = 50_000
"""Operators in a graph; the deepest networks in use have some thousands."""

MAX_BATCH = 1024
"""Examples at once of a network that takes one number of examples only."""

MAX_TEXT = 2**26
"""Bytes of JSON or of a header; parsing makes tens of bytes out of each."""


def check_file(path: Path) -> None:
    """Refuse a file that is too large to be read.

    Raises:
        FileNotFoundError: if there is no such file.
        ModelError: if it is larger than :data:`MAX_FILE`.
    """
    if (size := path.stat().st_size) > MAX_FILE:
        raise ModelError(f"a file of {size:,} bytes; at most {MAX_FILE:,} are read")


def check_shape(shape: tuple[int, ...], what: str) -> None:
    """Refuse a shape that is impossible or has too many numbers.

    Raises:
        ModelError: naming ``what``.
    """
    if min(shape, default=0) < 0 or prod(shape) > MAX_NUMBERS:
        raise ModelError(
            f"{what} has shape {[*shape[:8]]}; at most {MAX_NUMBERS:,} numbers are computed with"
        )


class Bounded(TorchDispatchMode):
    """While it is entered, PyTorch refuses what would take too many numbers or operations.

    Every operator is tried on tensors without content first, which tells the shape of its result.
    """

    def __init__(self) -> None:
        """Start to count."""
        super().__init__()
        self.work = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Compute ``func`` if its result is small enough."""
        kwargs = kwargs or {}
        if func is not torch.ops.aten._local_scalar_dense.default:  # the value of one number has no shape
            self._count(func, *tree_map_only(Tensor, _without_content, (args, kwargs)))
        return func(*args, **kwargs)

    def _count(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if "device" in kwargs:
            kwargs = {**kwargs, "device": torch.device("meta")}
        try:
            result = func(*args, **kwargs)
        except NotImplementedError:  # no shape can be told: an operator that no listed one consists of
            raise ModelError(f"{func} cannot be bounded before it is computed") from None
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                check_shape(tuple(value.shape), f"a value of {func}")
                self.work += value.numel()
        if (formula := flop_registry.get(func._overloadpacket)) is not None:
            self.work += formula(*args, **kwargs, out_val=result)
        if self.work > MAX_WORK:
            raise ModelError(f"takes more than {MAX_WORK:.0e} operations for one image")


def _without_content(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


@contextmanager
def free_memory_only() -> Iterator[None]:
    """Let an allocation beyond the memory that is free fail, before the system ends this process or others.

    Linux only; elsewhere nothing changes.
    """
    available = _free_memory()
    if available is None:
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    limit = used + available
    if soft != resource.RLIM_INFINITY:
        limit = min(limit, soft)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _free_memory() -> int | None:
    """Bytes that this process may still use, by the machine and by its control group; None if unknown."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return None
    entries = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    free = int(entries["MemAvailable"].split()[0]) * 1024
    group = Path("/sys/fs/cgroup")
    limit, current = group / "memory.max", group / "memory.current"
    if limit.exists() and current.exists() and (most := limit.read_text().strip()).isdigit():
        free = min(free, max(int(most) - int(current.read_text()), 0))
    return free


__all__ = [
    "MAX_BATCH",
    "MAX_FILE",
    "MAX_NUMBERS",
    "MAX_STEPS",
    "MAX_TEXT",
    "MAX_WORK",
    "Bounded",
    "check_file",
    "check_shape",
    "free_memory_only",
]
