"""Seeds side by side, each in a process of its own: for replicas of which one does not fill the device."""

import os
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from threading import RLock

import torch
from tqdm import tqdm

from .catalogue import Profile, find
from .rows import Row
from .runner import choose_device, run
from .stages import load
from .store import Store


def _prepare(processes: int) -> None:
    """In a new process: take a share of the cores, and stop at once and silently when interrupted."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    tqdm.set_lock(RLock())  # its own is shared among processes, and one stopped at once would leak it
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))


def pool(processes: int) -> ProcessPoolExecutor:
    """Fresh processes that divide the cores of the machine among them."""
    return ProcessPoolExecutor(processes, get_context("spawn"), _prepare, (processes,))


def usual_processes(name: str, profile: Profile, device: str) -> int:
    """The faster way, as measured by :mod:`sparse_robust.bench`: seeds side by side, or all in one program.

    On a CPU that is one process for each core for the LeNets, but for ``smoke``, which takes less time than
    starting them; else one process.

    Args:
        name, profile, device: as for :func:`.runner.run`.
    """
    lenet = any(spec.model.startswith("lenet") for spec in find(name).specs.get(profile, ()))
    if lenet and profile != "smoke" and choose_device(device).type == "cpu":
        return os.cpu_count() or 1
    return 1


def run_side_by_side(
    name: str,
    profile: Profile,
    processes: int | None = None,
    *,
    device: str = "auto",
    seeds: Sequence[int] | None = None,
    root: Path | str | None = None,
    store: Store | None = None,
) -> list[Row]:
    """:func:`.runner.run`, with up to ``processes`` seeds at a time; on a GPU they share it.

    Numbers are those of a run seed by seed. The cores of the machine are divided among the processes. A seed
    that fails stops those that have not begun; what the others finish is stored.

    Args:
        name: as in the catalogue.
        profile: ``smoke``, ``laptop`` or ``paper``.
        processes: at least 1; None for :func:`usual_processes`.
        device: as for :func:`.runner.run`.
        seeds: None for the profile's own.
        root: the data root; None for the default.
        store: where rows and checkpoints live; None for the default.

    Raises:
        ValueError: if ``processes`` is less than 1.
        Exception: whatever :func:`.runner.run` raises for a seed.
    """
    if processes is None:
        processes = usual_processes(name, profile, device)
    if processes < 1:
        raise ValueError(f"processes must be at least 1, got {processes}")
    store = store or Store.default()
    wanted = tuple(dict.fromkeys(find(name).seeds.get(profile, ()) if seeds is None else seeds))
    processes = min(processes, len(wanted))
    if processes > 1:
        for spec in find(name).specs.get(profile, ()):
            load(spec, root)  # downloads once what each process then reads
        workers = pool(processes)
        with workers, tqdm(total=len(wanted), desc=f"{name} ({profile}), seeds") as bar:
            jobs = [
                workers.submit(
                    run, name, profile, device=device, seeds=[s], root=root, store=store, quiet=True
                )
                for s in wanted
            ]
            try:
                for job in as_completed(jobs):
                    job.result()
                    bar.update()
            except BaseException:
                workers.shutdown(wait=False, cancel_futures=True)
                raise
    return run(name, profile, device=device, seeds=seeds, root=root, store=store)


__all__ = ["pool", "run_side_by_side", "usual_processes"]
