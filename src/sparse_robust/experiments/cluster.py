"""Seeds spread over the machines of a Ray cluster; rows are written in one place, by who asked for them.

Ray is an extra, as one machine does without it. What a lost machine held is given to another one, which goes
on from the checkpoints that both can reach.
"""

import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .experiment import Experiment, Profile
from .files import EXTRA
from .rows import BlockRow, Row
from .runner import run
from .store import Store
from .unfinished import KEEP_EVERY

RETRIES = 10
"""How often a seed is given to another worker when its own is lost."""
CONNECTING = 10.0
"""Seconds to wait for the head of a cluster."""
GRACE = 60.0
"""Seconds that workers have to store how far they are after an interrupt."""


class ClusterError(OSError):
    """Ray is not there, or it lost what it was asked for; says what to do."""


@dataclass(frozen=True)
class Forwarding(Store):
    """A worker's store: its checkpoints are here, its rows those of the store that an actor keeps elsewhere.

    Attributes:
        actor: handle of an actor of class :class:`.store.Store`.
    """

    actor: Any = None

    def _ask(self, method: str, *arguments: Any) -> Any:
        import ray

        return ray.get(getattr(self.actor, method).remote(*arguments))

    def prepare(self) -> None:
        """Both stores."""
        self._ask("prepare")
        super().prepare()

    def rows(self, experiment: str, profile: str) -> list[Row]:
        """The rows of the other store."""
        rows: list[Row] = self._ask("rows", experiment, profile)
        return rows

    def add_rows(self, experiment: str, profile: str, rows: Iterable[Row]) -> None:
        """Add rows to the other store."""
        self._ask("add_rows", experiment, profile, list(rows))

    def add_blocks(self, experiment: str, profile: str, blocks: Iterable[BlockRow]) -> None:
        """Add blocks to the other store."""
        self._ask("add_blocks", experiment, profile, list(blocks))


def run_on_cluster(
    experiment: Experiment,
    profile: Profile,
    address: str,
    *,
    device: str = "auto",
    seeds: Sequence[int] | None = None,
    root: Path | str | None = None,
    store: Store | None = None,
    keep_every: float = KEEP_EVERY,
) -> list[Row]:
    """:func:`.runner.run` with one task of Ray for each seed, of what :attr:`.Experiment.needs` says.

    Numbers are those of a run seed by seed, bit by bit on CPUs of one kind. Every machine needs this package,
    the data, and the folder of the checkpoints, which may be an address (:func:`.files.place`).

    Args:
        experiment: what to run.
        profile: ``smoke``, ``laptop`` or ``paper``.
        address: of the cluster's head, as host:6379; ``auto`` for the cluster that this machine belongs to;
            ``local`` for this machine alone.
        device: ``cpu``, ``cuda``, or ``auto`` for GPUs if the cluster has any.
        seeds: None for the profile's own.
        root: the data root on every machine; None for the default there.
        store: where rows and checkpoints live; None for the default.
        keep_every: as for :func:`.runner.run`.

    Raises:
        ClusterError: if Ray is not installed, does not answer, or lost a seed too often.
        ValueError: if the device is one GPU, or there is none.
        Exception: whatever :func:`.runner.run` raises for a seed.
    """
    experiment.variants(profile)  # so that an unknown profile is no error of a worker
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"on a cluster the device is cpu, cuda or auto, got {device!r}: Ray chooses which")
    try:
        import ray
    except ImportError:
        raise ClusterError(f"Ray is not installed here: {EXTRA}") from None
    wanted = tuple(dict.fromkeys(experiment.seeds[profile] if seeds is None else seeds))
    store = store or Store.default()
    store = replace(store, results=store.results.absolute(), cache=store.cache.absolute())
    answers(address)
    try:
        ray.init(address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError) as error:
        raise ClusterError(f"no cluster of Ray answers at {address}: {str(error).splitlines()[0]}") from None
    try:
        place = chosen_device(device, ray.cluster_resources().get("GPU", 0))
        writer = _here(ray, ray.remote(Store)).remote(store.results, store.cache, store.published)
        forwarding = Forwarding(store.results, store.cache, store.published, actor=writer)
        task = ray.remote(run).options(
            num_cpus=experiment.needs.cores,
            num_gpus=experiment.needs.gpus if place == "cuda" else 0,
            max_retries=RETRIES,
        )
        jobs = [
            task.remote(
                experiment,
                profile,
                device=place,
                seeds=[seed],
                root=root,
                store=forwarding,
                quiet=True,
                keep_every=keep_every,
            )
            for seed in wanted
        ]
        _wait(ray, jobs, f"{experiment.name} ({profile}), seeds")
    finally:
        ray.shutdown()
    return run(experiment, profile, device="cpu", seeds=wanted, root=root, store=store)


def answers(address: str) -> None:
    """See that somebody listens at an address, as Ray itself takes minutes to say that nobody does.

    Raises:
        ClusterError: if nobody does, or it is no address of a cluster's head.
    """
    if address in ("auto", "local"):
        return
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or "/" in host:
        raise ClusterError(f"{address} is not like auto, local or host:6379, the cluster's head")
    try:
        socket.create_connection((host, int(port)), CONNECTING).close()
    except OSError as error:
        raise ClusterError(f"no cluster of Ray answers at {address}: {error.strerror or error}") from None


def chosen_device(device: str, gpus: float) -> str:
    """``cuda`` or ``cpu``, in a cluster of so many GPUs.

    Raises:
        ValueError: if GPUs are asked for, and there is none.
    """
    if device == "cuda" and not gpus:
        raise ValueError("the cluster has no GPU: --device cpu")
    return "cuda" if gpus and device != "cpu" else "cpu"


def _here(ray: Any, actor: Any) -> Any:
    """An actor of this machine, which starts again and is asked again if it is lost; it needs no core."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    node = ray.get_runtime_context().get_node_id()
    return actor.options(
        num_cpus=0,
        max_restarts=-1,
        max_task_retries=-1,
        scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
    )


def _wait(ray: Any, jobs: list[Any], title: str) -> None:
    """Until all jobs have ended; an interrupt, or a job that fails, ends the others."""
    with tqdm(total=len(jobs), desc=title) as bar:
        try:
            while jobs:
                (job,), jobs = ray.wait(jobs)
                ray.get(job)
                bar.update()
        except KeyboardInterrupt:
            for job in jobs:
                ray.cancel(job)  # an interrupt there, which waits for the end of a step
            ray.wait(jobs, num_returns=len(jobs), timeout=GRACE)
            raise
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError as error:
            raise ClusterError(
                f"{title}: Ray lost one for the {RETRIES + 1}th time ({type(error).__name__}), as it does "
                "when memory runs out. What was finished is stored; run this again"
            ) from None
