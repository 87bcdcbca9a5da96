"""Command line: run experiments, reproduce the book, print the ledgers, check models, measure speeds."""

import argparse
import errno
import io
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sparse_robust import __version__, data
from sparse_robust.bench import command as bench
from sparse_robust.book import playground
from sparse_robust.check import command as check_command
from sparse_robust.check.text import escape
from sparse_robust.experiments import PROFILES, Store, run_on_cluster, run_side_by_side
from sparse_robust.experiments.files import EXTRA
from sparse_robust.proofs import graph as proof_graph
from sparse_robust.proofs import ledger as proof_ledger
from sparse_robust.studies import ledger
from sparse_robust.studies.catalogue import CATALOGUE, find

MAX_SEEDS = 10_000
"""In one run; the paper has 10."""


def seeds(text: str) -> tuple[int, ...]:
    """``0-9`` or ``0,3,5`` as a tuple."""
    try:
        chosen: list[int] = []
        for part in text.split(","):
            first, _, last = part.partition("-")
            span = range(int(first), int(last or first) + 1)
            if len(chosen) + span.stop - span.start > MAX_SEEDS:
                raise argparse.ArgumentTypeError(f"{text!r} names more than {MAX_SEEDS} seeds")
            chosen += span
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 0-9 or 0,3,5") from None
    if not chosen or len(set(chosen)) < len(chosen):
        raise argparse.ArgumentTypeError(f"{text!r} names no seed, or one twice")
    return tuple(chosen)


def parser() -> argparse.ArgumentParser:
    """The command line, with a help text that a newcomer understands."""
    width = max(map(len, CATALOGUE)) + 2
    names = "\n".join(f"  {e.name:{width}}{e.title}" for e in CATALOGUE.values())
    top = argparse.ArgumentParser(
        prog="python -m sparse_robust",
        description="Rerun the book's experiments, print its ledgers, check models, measure speeds.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, about: str, more: str = "") -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=about,
            description=f"{about[0].upper()}{about[1:]}.",
            epilog=more,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    place = (
        "folder that holds mnist.npz or MNIST/raw, cifar10.npz or cifar-10-batches-py"
        " (default: $SPARSE_ROBUST_DATA, else a cache folder)"
    )
    one = command(
        "run",
        "train, prune and attack the models of one experiment, and store every number",
        f"experiments:\n{names}\n\n"
        "What is stored already is not computed again, so an interrupted run goes on where it stopped.\n"
        "example: python -m sparse_robust run linear-binary --profile laptop --seeds 0-2",
    )
    one.add_argument("name", metavar="NAME", help="which experiment, from the list below")
    one.add_argument(
        "--profile",
        choices=PROFILES,
        default="laptop",
        help="smoke: seconds, on the digits that the package carries; laptop: minutes; "
        "paper: the paper's protocol in full (default: laptop)",
    )
    one.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:1, or auto (default: a GPU if there is one)"
    )
    one.add_argument("--seeds", type=seeds, help="for example 0-9 or 0,3 (default: those of the profile)")
    one.add_argument(
        "--processes",
        type=int,
        metavar="N",
        help="run N seeds side by side, on GPUs in turn; numbers of a CPU do not depend on it "
        "(default: on a CPU one for each core, else 1)",
    )
    one.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="spread seeds over the Ray cluster whose head is here, as host:6379 (auto: the one that this "
        f"machine is part of; local: this machine alone); needs {EXTRA}",
    )
    one.add_argument("--data", metavar="FOLDER", help=place)

    claims = command("claims", "print what the paper claims to have measured, and what the rows say")
    claims.add_argument(
        "--profile",
        choices=("published", *PROFILES),
        default="published",
        help="whose numbers: the committed ones, or those that you computed (default: published)",
    )
    proofs = command("proofs", "run the check of every statement of the book and print the proof ledger")
    proofs.add_argument(
        "--graph",
        metavar="LABEL",
        nargs="?",
        const="",
        help="instead print what rests on what, in Graphviz' language: of all statements, or of one",
    )
    check_command.add_arguments(command("check", check_command.ABOUT, check_command.MORE))
    again = command(
        "reproduce",
        "run every experiment and chapter, compare with the paper, build the site of your numbers",
    )
    again.add_argument(
        "--profile", choices=(*PROFILES, "published"), default="laptop", help="default: laptop"
    )
    again.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    again.add_argument("--all", action="store_true", help="also what takes a laptop long")
    again.add_argument("--record", action="store_true", help="for maintainers: remember how long it took")
    bench.add_options(command("bench", "measure how fast the package computes, against peers"))
    carried = command("playground", "write the networks that the interactive page attacks, from checkpoints")
    carried.add_argument("--data", metavar="FOLDER", help=place)
    books = command("notebooks", "execute chapters in place, and remember how long they took")
    books.add_argument("paths", metavar="FILE", nargs="+", type=Path, help="as book/linear/figure-1.ipynb")
    command("pdf", "print the built site as one PDF beside it, with Chromium")
    look = command("data", "say which data are found where, and whether they are sound")
    look.add_argument("--data", metavar="FOLDER", help=place)
    return top


def run_command(options: argparse.Namespace) -> int:
    """Run one experiment and say where its rows are."""
    experiment, profile = find(options.name), options.profile
    where = {"device": options.device, "seeds": options.seeds, "root": options.data}
    if options.ray is None:
        rows = run_side_by_side(experiment, profile, options.processes, **where)
    elif options.processes is None:
        rows = run_on_cluster(experiment, profile, options.ray, **where)
    else:
        raise ValueError("give --processes or --ray, not both: Ray knows how many its machines can take")
    print(f"data: {rows[0].data_description} ({rows[0].data}); device: {rows[-1].device}")
    path = Store.default().rows_path(options.name, options.profile)
    print(f"{len(rows)} numbers of {len({row.seed for row in rows})} seeds are in {path}")
    print(f"next: python -m sparse_robust claims --profile {options.profile}")
    return 0


def write_in_any_encoding() -> None:
    """Write out characters that the output's encoding lacks, as a redirect's on Windows does most of ours."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def explained(error: ValueError | KeyError | OSError) -> str:
    """What an error says, without the marks that Python puts around it."""
    if isinstance(error, OSError) and error.strerror:
        return f"{'the output' if error.filename is None else escape(str(error.filename))}: {error.strerror}"
    return str(error.args[0] if isinstance(error, KeyError) else error)


def discard_output() -> None:
    """Leave unwritten what waits to be written, or Python would try it once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(options: argparse.Namespace) -> int:
    """Run the command that was chosen; its exit status."""
    match options.command:
        case "run":
            return run_command(options)
        case "check":
            return check_command.run(options)
        case "claims":
            print(ledger.as_text(options.profile))
        case "proofs" if options.graph is not None:
            print(proof_graph.to_dot(options.graph or None))
        case "proofs":
            outcomes = proof_ledger.check_all()
            table = proof_ledger.statements(outcomes=outcomes).drop(columns=["uses", "source"])
            print(table.to_string(index=False, justify="left"), proof_ledger.summary(), sep="\n\n")
            return int(any(outcome.error for outcome in outcomes))
        case "reproduce":
            # here, as a machine that only computes need not have papermill
            from sparse_robust.book.reproduce import reproduce

            return reproduce(options.profile, options.device, everything=options.all, record=options.record)
        case "notebooks":
            # here, as a machine that only computes need not have Jupyter
            from sparse_robust.book import executions

            for path in options.paths:
                run = executions.execute(path)
                executions.remember(Path(), {path.with_suffix("").as_posix(): run})
                print(f"{path}: {run.seconds:.0f} s")
        case "bench":
            print(bench.run(options).to_string(index=False))
        case "pdf":
            # here, as a machine that only computes need not have a browser to drive
            from sparse_robust.book import pdf
            from sparse_robust.book.reproduce import chapters

            site = Path("_build", "html")
            names = [path.with_suffix(".html").as_posix() for path in chapters(Path())]
            pages = pdf.print_book(site, names, site / pdf.NAME)
            print(f"{site / pdf.NAME}: {pages} pages")
        case "playground":
            print(pd.DataFrame(playground.write(Store.default(), options.data)).to_string(index=False))
        case "data":
            print(data.describe(options.data))
            print(data.describe_cifar10(options.data))
    return 0


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as an interrupt does."""


def terminate(number: int, frame: object) -> None:
    """What SIGTERM does."""
    raise Terminated


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit status."""
    write_in_any_encoding()
    options = parser().parse_args(arguments)
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        status = run(options)
        sys.stdout.flush()  # while an output that cannot be written to is still an error of ours
        return status
    except BrokenPipeError:  # the reader of our output has seen enough, as `head` does
        discard_output()
        return 0
    except (ValueError, KeyError, OSError) as error:
        print(f"sparse_robust {options.command}: {explained(error)}", file=sys.stderr)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            discard_output()
        return 2
    except KeyboardInterrupt as error:
        print("\nInterrupted. What was finished is stored; the same command goes on there.", file=sys.stderr)
        return 128 + (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    sys.exit(main())
