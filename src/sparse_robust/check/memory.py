"""Running out of memory: recognised, whoever says so, and tried again with fewer examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")

SAYINGS = ("allocate memory", "not enough memory", "out of memory", "bad_alloc", "failed to allocate")
"""How PyTorch's errors, which are plain RuntimeErrors on a CPU, put it."""


class BatchMemoryError(Exception):
    """Not even one example fits."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in SAYINGS)


def halving(work: Callable[[int, int], Result], examples: int, batch: int) -> tuple[list[Result], int]:
    """``work(first, last)`` over slices of ``batch`` examples, which is halved whenever memory runs out.

    Returns:
        the results in order, and the batch in the end.

    Raises:
        BatchMemoryError: if one example alone does not fit.
    """
    results: list[Result] = []
    first = 0
    while first < examples:
        last = min(first + batch, examples)
        try:
            results.append(work(first, last))
        except Exception as error:
            if not out_of_memory(error):
                raise
            if batch == 1:
                raise BatchMemoryError from None
            batch = (min(batch, examples) + 1) // 2
            continue
        first = last
    return results, batch


__all__ = ["BatchMemoryError", "halving", "out_of_memory"]
