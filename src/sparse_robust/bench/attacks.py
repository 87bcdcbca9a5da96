"""How far and how fast attacks are, against other libraries.

Every attack sees the same images and the same weights, those of the authors' own dense networks, on one
thread. Within a turn all are run one after another; time is the processor's beside the wall's. A point
counts if a plain module of PyTorch misclassifies it, whoever produced it.

What is measured runs in the peers' environment (:mod:`.peers`), as a program of its own, and comes back as
rows.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from sparse_robust import attacks, metrics
from sparse_robust.data import load_mnist, pixels
from sparse_robust.experiments.files import locked, write_atomically
from sparse_robust.experiments.machine import code_version, device_name
from sparse_robust.experiments.rows import RowError
from sparse_robust.experiments.stages import published
from sparse_robust.experiments.store import results_folder
from sparse_robust.models import NETWORKS, NetworkName
from sparse_robust.studies.catalogue import find
from sparse_robust.types import LogitsFn

from .peers import PINS, Attack, PeersError, art_clever, peers, peers_python
from .replicas import plain

EPS, BOX = 0.1, (0.0, 1.0)
OURS = "this book"
CLEVER = "CLEVER, 50 x 100"
CLEVER_RADIUS, SHORT, LONG = 5.0, (50, 100), (200, 500)
"""CLEVER's ball, and batches and samples: of what is compared, and of the reference that it is held
against, which has a seed of its own."""

SLOW = {"torchattacks": ("DeepFool in the box",), "toolbox": ("DeepFool in the box", "DeepFool")}
"""Attacks that take images one by one, and see a tenth of them."""


@dataclass(frozen=True)
class Request:
    """What to measure.

    Attributes:
        nets: of :data:`~.replicas.NETS`.
        tasks: of :data:`TASKS`.
        images: the first of MNIST's test set, for each attack; a tenth for the slow ones.
        scored: images for CLEVER.
        turns: how often.
        root: the folder of the data and the models.
    """

    nets: Sequence[NetworkName]
    tasks: Sequence[str]
    images: int
    scored: int
    turns: int
    root: str | None = None

    def number(self, task: str, program: str) -> int:
        """How many images a program sees."""
        if task == CLEVER:
            return self.scored
        return max(self.images // 10, 1) if task in SLOW.get(program, ()) else self.images


Ours = Callable[[LogitsFn, Tensor, Tensor], attacks.AttackResult]


@dataclass(frozen=True)
class AttackOutcome:
    """What came out.

    Attributes:
        success: the share of correctly classified images that are flipped; None for CLEVER.
        median: of the l_2 distances of those, a failure infinitely far; of the scores for CLEVER.
        mean: likewise.
        error: for CLEVER, the mean deviation from the reference, relative to it; else None.
    """

    success: float | None
    median: float
    mean: float
    error: float | None = None


@dataclass(frozen=True)
class Case:
    """Where and by what it was computed.

    Attributes:
        versions: of the peers.
        data: fingerprint of the images.
        device: what computed it.
        threads: of the CPU.
        torch: version.
        commit: of the code.
        dirty: whether the package differed from that commit.
    """

    versions: str
    data: str
    device: str
    threads: int
    torch: str
    commit: str
    dirty: bool


@dataclass(frozen=True)
class Trial:
    """One program at one task on one network, once.

    Attributes:
        net: which network, with the authors' weights.
        task: what is attempted.
        program: whose, with its variant.
        turn: when the turn began, UTC; within a turn all programs run one after another.
        n: images, the first of MNIST's test set.
        cpu: processor time, seconds for 1000 images.
        wall: the same by the clock.
        outcome: how far it came.
        place: provenance.
    """

    net: str
    task: str
    program: str
    turn: str
    n: int
    cpu: float
    wall: float
    outcome: AttackOutcome
    place: Case

    def row(self) -> dict[str, object]:
        """All of it, flat."""
        whole = asdict(self)
        outcome, place = whole.pop("outcome"), whole.pop("place")
        return whole | outcome | place


def ours() -> Mapping[str, Mapping[str, Ours]]:
    """By task and variant, this book's attacks."""
    cw = partial(attacks.carlini_wagner, box=BOX)
    return {
        "DeepFool in the box": {OURS: partial(attacks.deepfool, box=BOX)},
        "DeepFool": {OURS: attacks.deepfool},
        "minimal norm": {
            f"{OURS}, {steps} steps": partial(attacks.minimal_l2, steps=steps) for steps in (12, 36)
        },
        "C&W, 100 x 5": {
            OURS: partial(cw, steps=100, searches=5),
            f"{OURS}, 100 x 3": partial(cw, steps=100, searches=3),
        },
        "PGD 40": {OURS: partial(attacks.projected_gradient_descent, eps=EPS, steps=40, box=BOX)},
        "APGD 100": {OURS: partial(attacks.adaptive_projected_gradient_descent, eps=EPS, steps=100, box=BOX)},
    }


TASKS = (*ours(), CLEVER)


def contenders(model: Any, task: str) -> Mapping[str, Attack]:
    """By program, ours first; ours reads the replicas, a peer the plain module."""

    def lone(attack: Ours) -> Attack:
        return lambda _, x, y: attack(model, x.unsqueeze(0), y.unsqueeze(0)).x_adv.squeeze(0)

    if task == CLEVER:
        return {
            OURS: lambda _, x, y: our_clever(model, x, y, SHORT, seed=0),
            "toolbox": art_clever(*SHORT, CLEVER_RADIUS),
        }
    return {**{program: lone(attack) for program, attack in ours()[task].items()}, **peers(EPS)[task]}


def our_clever(model: Any, x: Tensor, y: Tensor, effort: tuple[int, int], *, seed: int) -> Tensor:
    """This book's scores in l_2, [N], from so many batches of so many samples."""
    batches, samples = effort
    scores = metrics.clever(
        model,
        x.unsqueeze(0),
        y.unsqueeze(0),
        p=2,
        radius=CLEVER_RADIUS,
        batches=batches,
        samples=samples,
        seeds=[seed],
        box=BOX,
    )
    return scores.score.squeeze(0)


def dense(net: NetworkName, root: str | None) -> tuple[Any, nn.Module]:
    """The authors' dense network, as one replica and as a plain module."""
    spec = next(s for s in find("over-pruning").variants("paper") if s.model == net)
    model = published(spec, [0], torch.device("cpu"), root).model
    return model, plain(model, 0).eval().requires_grad_(False)


def timed(attack: Attack, module: nn.Module, x: Tensor, y: Tensor, batch: int) -> tuple[Tensor, float, float]:
    """What the attack found, and processor and wall time in seconds."""
    cpu, wall = time.process_time(), time.perf_counter()
    parts = zip(x.split(batch), y.split(batch), strict=True)
    points = torch.cat([attack(module, images, classes).detach() for images, classes in parts])
    return points, time.process_time() - cpu, time.perf_counter() - wall


def judge(module: nn.Module, x: Tensor, y: Tensor, points: Tensor) -> AttackOutcome:
    """What points [N, D] are worth, by the module's own verdict."""
    with torch.no_grad():
        correct, flipped = module(x).argmax(1) == y, module(points).argmax(1) != y
    distance = (points - x).norm(dim=1).masked_fill(~flipped, torch.inf)[correct]
    success = float(distance.isfinite().double().mean())
    return AttackOutcome(success, float(distance.median()), float(distance.mean()))


def measure(request: Request) -> Iterator[Trial]:
    """Every contender, turn by turn; in the peers' environment."""
    dataset = load_mnist(request.root)
    x, y = pixels(dataset.test).flatten(1), dataset.test.labels
    place = Case(
        " ".join(PINS),
        dataset.fingerprint,
        device_name(torch.device("cpu")),
        torch.get_num_threads(),
        torch.__version__,
        *code_version(),
    )
    for net in request.nets:
        model, module = dense(net, request.root)
        batch, reference = NETWORKS[net].chunk, torch.empty(0)
        if CLEVER in request.tasks:
            n = request.scored
            reference = our_clever(model, x[:n], y[:n], LONG, seed=1)
        chosen = {task: contenders(model, task) for task in request.tasks}
        for task, programs in chosen.items():
            if task != CLEVER:  # whose short runs are long enough
                for attack in programs.values():  # importing a library is not what is timed
                    attack(module, x[:2], y[:2])
        for turn in (datetime.now(UTC).isoformat() for _ in range(request.turns)):
            for task, programs in chosen.items():
                for program, attack in programs.items():
                    n = request.number(task, program)
                    result, cpu, wall = timed(attack, module, x[:n], y[:n], batch)
                    if task == CLEVER:
                        error = (result / reference - 1)[reference > 0].abs().mean()
                        outcome = AttackOutcome(
                            None, float(result.median()), float(result.mean()), float(error)
                        )
                    else:
                        outcome = judge(module, x[:n], y[:n], result)
                    per = 1000 / n
                    yield Trial(net, task, program, turn, n, per * cpu, per * wall, outcome, place)


def measure_all(request: Request) -> pd.DataFrame:
    """The same from anywhere: the peers' environment is made if need be. A row for each trial.

    Raises:
        PeersError: if the peers cannot be installed, or the measurement ends with an error.
    """
    command = [str(peers_python()), "-m", "sparse_robust.bench.attacks", json.dumps(asdict(request))]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeersError(f"the measurement failed:\n{done.stderr.strip()}")
    return pd.DataFrame([json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")])


CASE = ["net", "task"]
"""What programs are compared at."""


def compare_attacks(rows: pd.DataFrame) -> pd.DataFrame:
    """A line for each program, the fastest of its task first: a peer that wins stands first.

    Returns:
        columns net, task, program, n; cpu and wall, medians over turns in seconds for 1000 images; times, by
        what factor the first of our variants is faster by processor time in the same turn, the median;
        success, median, mean and error, of the last turn; and turns.
    """
    lines = []
    for case, part in rows.groupby(CASE, sort=False):
        cpu = part.pivot_table(index="turn", columns="program", values="cpu", sort=False)
        first = next(program for program in cpu.columns if program.startswith(OURS))
        for program, own in part.groupby("program", sort=False):
            last = own.iloc[-1]
            lines.append(
                {
                    **dict(zip(CASE, case, strict=True)),
                    "program": program,
                    "n": last.n,
                    "cpu": own.cpu.median(),
                    "wall": own.wall.median(),
                    "times": (cpu[program] / cpu[first]).median(),
                    **last[["success", "median", "mean", "error"]],
                    "turns": len(own),
                }
            )
    table = pd.DataFrame(lines)
    order = {case: k for k, case in enumerate(rows.groupby(CASE, sort=False).groups)}
    rank = [order[case] for case in zip(table.net, table.task, strict=True)]
    return table.assign(rank=rank).sort_values(["rank", "cpu"]).drop(columns="rank").reset_index(drop=True)


def published_trials() -> Path:
    """The file that the chapter on run times reads."""
    return results_folder() / "speeds" / "attacks.jsonl"


def keep_trials(path: Path, rows: pd.DataFrame) -> None:
    """Add rows to a file, one JSON object a line, whole or not at all."""
    with locked(path):
        text = path.read_text() if path.exists() else ""
        write_atomically(path, (text + rows.to_json(orient="records", lines=True)).encode())


def read_trials(path: Path) -> pd.DataFrame:
    """The rows of a file.

    Raises:
        RowError: if a line is not such a row; names the file and the line.
    """
    wanted = {field.name for kind in (Trial, AttackOutcome, Case) for field in fields(kind)} - {
        "outcome",
        "place",
    }
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            row = json.loads(line)
            if row.keys() != wanted:
                raise ValueError
        except (ValueError, AttributeError):
            names = ", ".join(sorted(wanted))
            raise RowError(
                f"{path}, line {number}: not an object of {names}; delete the line and measure again"
            ) from None
        rows.append(row)
    return pd.DataFrame(rows)


if __name__ == "__main__":  # in the peers' environment, see measure_all
    for trial in measure(Request(**json.loads(sys.argv[1]))):
        print(json.dumps(trial.row()), flush=True)
