"""Randomness is an argument: one generator for each (seed, stream)."""

import hashlib

import torch


def stream(seed: int, name: str) -> torch.Generator:
    """A CPU generator that depends on ``seed`` and ``name`` alone.

    Streams with different names are independent, so a replica draws the same numbers whatever the
    number of replicas, the device or the order of calls. Draw on the CPU, then move.

    Args:
        seed: the replica's seed, at least 0.
        name: what the numbers are for, for example ``"init"`` or ``"order/round-3"``.

    Raises:
        ValueError: if ``seed`` is negative.
    """
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


__all__ = ["stream"]
