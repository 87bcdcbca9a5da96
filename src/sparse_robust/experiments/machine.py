"""What computes: the code, by its commit, and the device."""

import functools
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

import torch


@functools.cache
def code_version() -> tuple[str, bool]:
    """The commit of the package, and whether its source differs from it; ("unknown", True) outside git."""
    folder = Path(__file__).resolve().parents[1]

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD"), bool(git("status", "--porcelain", "--", "."))
    except (OSError, subprocess.CalledProcessError):
        return "unknown", True


def device_name(device: torch.device) -> str:
    """What computes, in words that mean something on another machine."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu {platform.machine()}"


@dataclass(frozen=True)
class Program:
    """What computes, as far as the last digits of a number may depend on it.

    Attributes:
        commit: of the code.
        dirty: whether the package differed from that commit.
        torch: version.
        device: in words.
        threads: of PyTorch's operations on the CPU.
        replicas: how many are computed with at once.
    """

    commit: str
    dirty: bool
    torch: str
    device: str
    threads: int
    replicas: int


def running(device: torch.device, replicas: int) -> Program:
    """This process, as it computes with so many replicas on a device."""
    threads = torch.get_num_threads()
    return Program(*code_version(), torch.__version__, device_name(device), threads, replicas)


def choose_device(name: str) -> torch.device:
    """The device called ``name``; ``auto`` is the GPU where there is one.

    Raises:
        ValueError: if there is no such device here; the message lists those that there are.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if gpus else "cpu"
    known = ["auto", "cpu", *(["cuda"] if gpus else []), *(f"cuda:{i}" for i in range(gpus))]
    if name not in known:
        why = " (PyTorch finds no GPU)" if not gpus else ""
        raise ValueError(f"no device {name!r} on this machine{why}; known: {', '.join(known)}")
    return torch.device(name)
