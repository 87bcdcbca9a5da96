"""Randomness is an argument: one generator for each (seed, stream)."""

import hashlib

import torch
from torch import Tensor


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


def hashed(key: Tensor, count: int) -> Tensor:
    """``count`` numbers that look uniform on [0, 1), by hashing 0, ..., count - 1 under ``key``; float32.

    For numbers too many to draw on the CPU. They depend on the key alone, not on the device: all arithmetic
    is on 32-bit integers. Two rounds of a mixer of Wellons (2018), a bijection of low bias.

    Args:
        key: int32 [2], for example drawn from a :func:`stream`.
        count: at most 2^31 - 1.
    """
    x = torch.arange(count, dtype=torch.int32, device=key.device)
    return (_mix(_mix(x ^ key[0]) ^ key[1]) & 0xFFFFFF) * 2.0**-24


def _mix(x: Tensor) -> Tensor:
    """x ^= x >> 16; x *= 0x7feb352d; x ^= x >> 15; x *= 0x846ca68b; x ^= x >> 16, as if x had no sign."""
    x = (x ^ ((x >> 16) & 0xFFFF)) * 0x7FEB352D
    x = (x ^ ((x >> 15) & 0x1FFFF)) * (0x846CA68B - 2**32)
    return x ^ ((x >> 16) & 0xFFFF)
