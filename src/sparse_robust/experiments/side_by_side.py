"""Seeds side by side, each in a process of its own: for replicas of which one does not fill the device."""

import os
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import active_children, get_context
from pathlib import Path
from threading import RLock

import torch
from tqdm import tqdm

from .experiment import Experiment, Profile
from .machine import choose_device
from .rows import Row
from .runner import run
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


def usual_processes(experiment: Experiment, profile: Profile, device: str) -> int:
    """The faster way, as measured by :mod:`sparse_robust.bench`: seeds side by side, or all in one program.

    On a CPU that is one process for each core for the networks that say so, but for ``smoke``, which takes
    less time than starting them; else one process.

    Args:
        experiment, profile, device: as for :func:`.runner.run`.
    """
    if profile == "smoke" or choose_device(device).type != "cpu":
        return 1
    return os.cpu_count() or 1 if any(s.network.side_by_side for s in experiment.variants(profile)) else 1


def run_side_by_side(
    experiment: Experiment,
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
    that fails stops those that have not begun; what the others finish is stored. An interrupt stops all.

    Args:
        experiment: what to run.
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
        processes = usual_processes(experiment, profile, device)
    if processes < 1:
        raise ValueError(f"processes must be at least 1, got {processes}")
    store = store or Store.default()
    specs = experiment.variants(profile)
    wanted = tuple(dict.fromkeys(experiment.seeds[profile] if seeds is None else seeds))
    processes = min(processes, len(wanted))
    if processes > 1:
        for spec in specs:
            load(spec, root)  # downloads once what each process then reads
        workers = pool(processes)
        with workers, tqdm(total=len(wanted), desc=f"{experiment.name} ({profile}), seeds") as bar:
            jobs = [
                workers.submit(
                    run, experiment, profile, device=device, seeds=[s], root=root, store=store, quiet=True
                )
                for s in wanted
            ]
            try:
                for job in as_completed(jobs):
                    job.result()
                    bar.update()
            except KeyboardInterrupt:
                for process in active_children():  # which an interrupt of this process alone does not reach
                    process.terminate()
                raise
            except BaseException:
                workers.shutdown(wait=False, cancel_futures=True)
                raise
    return run(experiment, profile, device=device, seeds=seeds, root=root, store=store)
