"""Command line: run experiments, reproduce the book, print the ledgers, check models, measure speeds."""

import argparse
import os
import sys
from collections.abc import Sequence

from sparse_robust import __version__, data
from sparse_robust.bench import command as bench
from sparse_robust.check import check
from sparse_robust.experiments import PROFILES, Store, run_side_by_side
from sparse_robust.proofs import graph as proof_graph
from sparse_robust.proofs import ledger as proof_ledger
from sparse_robust.studies import ledger
from sparse_robust.studies.catalogue import CATALOGUE, find


def seeds(text: str) -> tuple[int, ...]:
    """``0-9`` or ``0,3,5`` as a tuple."""
    try:
        chosen: list[int] = []
        for part in text.split(","):
            first, _, last = part.partition("-")
            chosen += range(int(first), int(last or first) + 1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 0-9 or 0,3,5") from None
    if not chosen or len(set(chosen)) < len(chosen):
        raise argparse.ArgumentTypeError(f"{text!r} names no seed, or one twice")
    return tuple(chosen)


def labels(text: str) -> tuple[int, ...]:
    """``7,1,3`` as a tuple."""
    try:
        chosen = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 0,1,2") from None
    if len(set(chosen)) < len(chosen) or len(chosen) < 2:
        raise argparse.ArgumentTypeError(f"{text!r} names a label twice, or fewer than two")
    return chosen


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
        help="run N seeds side by side, for networks of which one does not fill the device "
        "(default: one for each core for the LeNets on a CPU, else 1)",
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
    compare = command(
        "check",
        "compare your pruned models with the dense one: does robustness fall before accuracy",
        "models: ONNX, torch.export archives (.pt2), TorchScript, and the weights of a linear classifier,\n"
        "LeNet-300-100 or LeNet-5 as safetensors or .caffemodel. They have to return logits. No pickle is\n"
        "ever opened; PyTorch compiles and runs a TorchScript program if it names listed operators only.\n\n"
        "data: x, uint8 (divided by 255) or float [N, ...], and y, integers [N]; from Keras's mnist.npz:\n"
        "  python -c \"import numpy as np; d = np.load('mnist.npz'); "
        "np.savez('test.npz', x=d['x_test'], y=d['y_test'])\"\n\n"
        "exit status: 1 if for one of the models robustness falls before accuracy, else 0; 2 for bad input\n"
        "example: python -m sparse_robust check dense.onnx pruned.onnx --data test.npz",
    )
    compare.add_argument("models", metavar="MODEL", nargs="+", help="files, the dense model first")
    compare.add_argument("--data", metavar="FILE", required=True, help="an .npz with arrays x and y")
    compare.add_argument("--eps", type=float, default=0.1, help="of FGS, in the units of x (default: 0.1)")
    compare.add_argument("--examples", type=int, metavar="N", help="only the first N (default: all)")
    compare.add_argument(
        "--batch", type=int, default=500, metavar="N", help="examples at once (default: 500)"
    )
    compare.add_argument(
        "--classes", type=labels, help="labels in the order of the logits, as 1,7 (default: 0,1,2,...)"
    )
    again = command(
        "reproduce",
        "run every experiment and chapter, compare with the paper, build the site of your numbers",
    )
    again.add_argument(
        "--profile", choices=(*PROFILES, "published"), default="laptop", help="default: laptop"
    )
    again.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    bench.add_options(command("bench", "measure how fast the package computes, against peers"))
    look = command("data", "say which data are found where, and whether they are sound")
    look.add_argument("--data", metavar="FOLDER", help=place)
    return top


def run_command(options: argparse.Namespace) -> int:
    """Run one experiment and say where its rows are."""
    rows = run_side_by_side(
        find(options.name),
        options.profile,
        options.processes,
        device=options.device,
        seeds=options.seeds,
        root=options.data,
    )
    print(f"data: {rows[0].data_description} ({rows[0].data}); device: {rows[-1].device}")
    path = Store.default().rows_path(options.name, options.profile)
    print(f"{len(rows)} numbers of {len({row.seed for row in rows})} seeds are in {path}")
    print(f"next: python -m sparse_robust claims --profile {options.profile}")
    return 0


def check_command(options: argparse.Namespace) -> int:
    """Print models side by side; 1 if robustness falls before accuracy for one of them."""
    text, over_pruned = check(
        options.models,
        options.data,
        eps=options.eps,
        limit=options.examples,
        batch=options.batch,
        classes=options.classes,
    )
    print(text)
    return int(over_pruned)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit status."""
    options = parser().parse_args(arguments)
    try:
        match options.command:
            case "run":
                return run_command(options)
            case "check":
                return check_command(options)
            case "claims":
                print(ledger.table(options.profile))
            case "proofs" if options.graph is not None:
                print(proof_graph.to_dot(options.graph or None))
            case "proofs":
                outcomes = proof_ledger.check_all()
                table = proof_ledger.table(outcomes=outcomes).drop(columns=["uses", "source"])
                print(table.to_string(index=False, justify="left"), proof_ledger.summary(), sep="\n\n")
                return int(any(outcome.error for outcome in outcomes))
            case "reproduce":
                from sparse_robust.book.reproduce import (
                    reproduce,  # a machine that only computes lacks papermill
                )

                return reproduce(options.profile, options.device)
            case "bench":
                print(bench.run(options).to_string(index=False))
            case "data":
                print(data.describe(options.data))
                print(data.describe_cifar10(options.data))
    except BrokenPipeError:  # the reader of our output has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, KeyError, OSError) as error:
        message = error.args[0] if isinstance(error, KeyError) else error
        print(f"sparse_robust {options.command}: {message}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted. What was finished is stored; the same command goes on there.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
