"""The command line's ``bench``: which benchmark, its options, and the table that it returns."""

import argparse
from pathlib import Path

import pandas as pd

from sparse_robust.experiments.machine import choose_device
from sparse_robust.models import COLOUR
from sparse_robust.studies.catalogue import find

from . import attacks, batching, cifar, replicas
from .speeds import compare_speeds, keep_speeds


def add_options(parser: argparse.ArgumentParser) -> None:
    """One benchmark each, with its own options."""
    kinds = parser.add_subparsers(dest="benchmark", required=True, metavar="BENCHMARK")
    device = "cpu, cuda, or auto (default: %(default)s)"

    lenets = kinds.add_parser("replicas", help="how fast many small networks train, against plain PyTorch")
    lenets.add_argument("--device", default="cpu", help=device)
    lenets.add_argument("--replicas", type=int, default=10, help="default: 10")
    lenets.add_argument("--steps", type=int, default=200, help="timed, for each replica (default: 200)")
    lenets.add_argument("--turns", type=int, default=3, help="how often each way is timed (default: 3)")
    lenets.add_argument("--nets", nargs="+", choices=replicas.NETS, default=replicas.NETS)
    lenets.add_argument("--keep", type=Path, metavar="FILE", help="add the measurements to a file, as JSON")

    peers = kinds.add_parser(
        "attacks", help="how far and how fast attacks are, against other libraries (installs them apart)"
    )
    peers.add_argument(
        "--nets", nargs="+", choices=replicas.NETS, default=replicas.NETS, help="default: both"
    )
    peers.add_argument("--tasks", nargs="+", choices=attacks.TASKS, default=attacks.TASKS)
    peers.add_argument("--images", type=int, default=200, help="for each attack (default: 200)")
    peers.add_argument("--scored", type=int, default=3, help="images for CLEVER (default: 3)")
    peers.add_argument("--turns", type=int, default=3, help="how often each is timed (default: 3)")
    peers.add_argument("--data", metavar="FOLDER", help="folder that holds the data and the models")
    peers.add_argument("--keep", type=Path, metavar="FILE", help="add the rows to a file, as JSON")

    shared = kinds.add_parser(
        "batching", help="how far numbers of LeNet-300-100s that share a program are from those alone"
    )
    shared.add_argument("--device", default="cpu", help=device)
    shared.add_argument("--replicas", type=int, default=5, help="default: 5")
    shared.add_argument("--steps", type=int, default=1500, help="of training (default: 1500)")
    shared.add_argument("--images", type=int, default=500, help="that are attacked (default: 500)")
    shared.add_argument("--data", metavar="FOLDER", help="folder that holds the data")
    shared.add_argument("--keep", type=Path, metavar="FILE", help="store the table in a file, as JSON")

    images = kinds.add_parser("cifar", help="how fast the networks for CIFAR-10 train and are attacked")
    images.add_argument("--device", default="auto", help=device)
    images.add_argument("--steps", type=int, default=100, help="timed (default: 100)")
    images.add_argument("--batch", type=int, default=512, help="images in a step (default: 512)")
    images.add_argument("--narrow", type=int, default=1, help="divides the channels (default: 1)")
    images.add_argument("--nets", nargs="+", choices=COLOUR, default=COLOUR)


def run(options: argparse.Namespace) -> pd.DataFrame:
    """What the chosen benchmark measures.

    Raises:
        ValueError: if an option makes no sense, or there is no such device.
    """
    for name in ("replicas", "steps", "turns", "batch", "narrow", "images", "scored"):
        if getattr(options, name, 1) < 1:
            raise ValueError(f"--{name} must be at least 1, got {getattr(options, name)}")
    if options.benchmark == "attacks":
        request = attacks.Request(
            options.nets, options.tasks, options.images, options.scored, options.turns, options.data
        )
        rows = attacks.measure_all(request)
        if options.keep:
            attacks.keep_trials(options.keep, rows)
        return attacks.compare_attacks(rows)
    device = choose_device(options.device)
    if options.benchmark == "batching":
        if options.replicas < 2:
            raise ValueError(f"--replicas must be at least 2 to share a program, got {options.replicas}")
        (spec,) = find("lenet-300-100").specs["paper"]
        spec = batching.of_dense(spec, steps=options.steps, images=options.images)
        table = batching.batching(spec, options.replicas, device, options.data)
        if options.keep:
            batching.keep_batching(table, options.keep)
        return table
    if options.benchmark == "cifar":
        return cifar.measure_all(
            options.nets, steps=options.steps, batch=options.batch, narrow=options.narrow, device=device
        )
    speeds = list(
        replicas.measure_all(
            options.nets, seeds=options.replicas, steps=options.steps, turns=options.turns, device=device
        )
    )
    if options.keep:
        keep_speeds(options.keep, speeds)
    return compare_speeds(pd.DataFrame(map(vars, speeds)), "replicas")
