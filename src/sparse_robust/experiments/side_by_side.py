"""Seeds side by side, each in a process of its own: for replicas of which one does not fill the device."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from threading import RLock, Thread
from typing import TypeVar

import torch
from tqdm import tqdm

from .experiment import Experiment, Profile
from .machine import choose_device
from .rows import Row
from .runner import run
from .stages import load
from .store import Store
from .unfinished import KEEP_EVERY

Result = TypeVar("Result")


class WorkerError(OSError):
    """A process of ours was killed; says what to do."""


def _prepare() -> None:
    """In a new process: compute in one thread, end when interrupted, and when the parent has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent, which a terminal tells too, ends the others
    tqdm.set_lock(RLock())  # its own is shared among processes, and one stopped at once would leak it
    torch.set_num_threads(1)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def pool(processes: int) -> ProcessPoolExecutor:
    """Fresh processes that compute in one thread each."""
    return ProcessPoolExecutor(processes, get_context("spawn"), _prepare)


def usual_processes(profile: Profile, device: str) -> int:
    """On a CPU a process for each core, but for ``smoke``, which takes less time than starting them; else 1.

    Args:
        profile, device: as for :func:`.runner.run`.
    """
    return 1 if profile == "smoke" or choose_device(device).type != "cpu" else os.cpu_count() or 1


def places(device: str, processes: int) -> list[str]:
    """A device for each of some processes: the GPUs in turn, unless ``device`` is one of them or the CPU."""
    chosen = choose_device(device)
    if chosen.type != "cuda" or chosen.index is not None:
        return [device] * processes
    return [f"cuda:{process % torch.cuda.device_count()}" for process in range(processes)]


def finished(
    submit: Callable[[int, str], Future[Result]], seeds: Sequence[int], devices: Sequence[str]
) -> Iterator[Future[Result]]:
    """Jobs as they end: as many at a time as there are devices, each on one that no other is using.

    Args:
        submit: starts the job of a seed on a device.
        seeds: of which there is one job each.
        devices: as :func:`places` yields them; one that stands there twice takes two jobs.
    """
    waiting, free, running = deque(seeds), deque(devices), dict[Future[Result], str]()
    while waiting or running:
        while waiting and free:
            device = free.popleft()
            running[submit(waiting.popleft(), device)] = device
        for job in wait(running, return_when=FIRST_COMPLETED).done:
            free.append(running.pop(job))
            yield job


def run_side_by_side(
    experiment: Experiment,
    profile: Profile,
    processes: int | None = None,
    *,
    device: str = "auto",
    seeds: Sequence[int] | None = None,
    root: Path | str | None = None,
    store: Store | None = None,
    keep_every: float = KEEP_EVERY,
) -> list[Row]:
    """:func:`.runner.run`, with up to ``processes`` seeds at a time, spread over the GPUs.

    Numbers are those of a run seed by seed, bit by bit on a CPU. A seed that fails stops those that have not
    begun; what the others finish is stored. An interrupt stops all.

    Args:
        experiment: what to run.
        profile: ``smoke``, ``laptop`` or ``paper``.
        processes: at least 1; None for :func:`usual_processes`.
        device: as for :func:`.runner.run`.
        seeds: None for the profile's own.
        root: the data root; None for the default.
        store: where rows and checkpoints live; None for the default.
        keep_every: as for :func:`.runner.run`.

    Raises:
        ValueError: if ``processes`` is less than 1.
        WorkerError: if a process was killed.
        Exception: whatever :func:`.runner.run` raises for a seed.
    """
    if processes is None:
        processes = usual_processes(profile, device)
    if processes < 1:
        raise ValueError(f"processes must be at least 1, got {processes}")
    store = store or Store.default()
    specs = experiment.variants(profile)
    wanted = tuple(dict.fromkeys(experiment.seeds[profile] if seeds is None else seeds))
    processes = min(processes, len(wanted))
    one = partial(run, experiment, profile, root=root, store=store, keep_every=keep_every)
    if processes > 1:
        devices = places(device, processes)
        for spec in specs:
            load(spec, root)  # downloads once what each process then reads
        workers = pool(processes)

        def submit(seed: int, place: str) -> Future[list[Row]]:
            return workers.submit(one, device=place, seeds=[seed], quiet=True)

        with workers, tqdm(total=len(wanted), desc=f"{experiment.name} ({profile}), seeds") as bar:
            try:
                for job in finished(submit, wanted, devices):
                    job.result()
                    bar.update()
            except KeyboardInterrupt:
                for process in active_children():  # which an interrupt of this process alone does not reach
                    process.terminate()
                raise
            except BrokenProcessPool:
                raise WorkerError(
                    f"{experiment.name}: one of {processes} processes was killed, as the system does when "
                    "memory runs out. What was finished is stored; run this again, with fewer --processes"
                ) from None
            except BaseException:
                workers.shutdown(wait=False, cancel_futures=True)
                raise
    return one(device=device, seeds=seeds)
