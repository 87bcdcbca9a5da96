"""The command ``check``: its options, and what it prints."""

from __future__ import annotations

import argparse
from pathlib import Path

from sparse_robust.data import path_of

from .architectures import ARCHITECTURES
from .comparison import CheckOutcome, check
from .limits import free_memory_only
from .options import Options
from .ranges import BoxChoice

ABOUT = "compare your pruned models with the dense one: does robustness fall before accuracy"

MORE = """\
models: ONNX, torch.export archives (.pt2), and the weights of a linear classifier, LeNet-300-100 or
LeNet-5 as safetensors or .caffemodel. They have to return logits; a last softmax or sigmoid is left out.
No pickle is ever opened, and nothing runs but listed operators. Of ONNX files, the logits are compared
with onnxruntime's.

data: x, uint8 (divided by 255) or float [N, ...], and y, integers [N]. Where a model would be right much
more often in another convention (scale, inverted, transposed, standardised, labels in another order), the
command asks: --scale says that x is meant as it is, --classes that labels are. From Keras's mnist.npz:
  python -c "import numpy as np; d = np.load('mnist.npz'); \
np.savez('test.npz', x=d['x_test'], y=d['y_test'])"

exit status: 1 if for one of the models robustness falls before accuracy, else 0; 2 for bad input; 3 if a
number is not defined, as r_2 is not of a network that no image can change
example: python -m sparse_robust check dense.onnx pruned.onnx --data test.npz --report report.html"""


def labels(text: str) -> tuple[int, ...]:
    """``7,1,3`` as a tuple."""
    try:
        chosen = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is not like 0,1,2") from None
    if len(set(chosen)) < len(chosen) or len(chosen) < 2:
        raise argparse.ArgumentTypeError(f"{text[:80]!r} names a label twice, or fewer than two")
    if not all(-(2**63) <= label < 2**63 for label in chosen):
        raise argparse.ArgumentTypeError(f"{text[:80]!r} names a label of more than 64 bits")
    return chosen


def box(text: str) -> BoxChoice:
    """``0,1`` as a pair, or ``none``."""
    if text == "none":
        return "none"
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is not like 0,1 or none") from None
    return low, high


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("models", metavar="MODEL", nargs="+", help="files, the dense model first")
    parser.add_argument("--data", metavar="FILE", required=True, help="an .npz with arrays x and y")
    parser.add_argument("--eps", type=float, default=0.1, help="of FGS, in the units of x (default: 0.1)")
    parser.add_argument("--examples", type=int, metavar="N", help="only the first N (default: all)")
    parser.add_argument(
        "--batch",
        type=int,
        default=500,
        metavar="N",
        help="examples at once (default: 500), fewer if memory ends",
    )
    parser.add_argument(
        "--classes", type=labels, help="labels in the order of the logits, as 1,7 (default: 0,1,2,...)"
    )
    parser.add_argument(
        "--scale", type=float, help="what x is divided by (default: 255 for uint8, 1 for numbers in [0, 1])"
    )
    parser.add_argument(
        "--box",
        type=box,
        metavar="LOW,HIGH",
        help="what x stays in after that, or none; write --box=-1,1 (default: 0,1 for pixels)",
    )
    parser.add_argument(
        "--architecture",
        choices=ARCHITECTURES,
        metavar="NAME",
        help=f"of files that hold weights alone: {', '.join(ARCHITECTURES)} (default: by their shapes)",
    )
    parser.add_argument(
        "--strong",
        action="store_true",
        help="run stronger attacks, too (PGD, APGD, C&W, a minimal-norm walk), and print the gap",
    )
    parser.add_argument("--report", metavar="FILE", help="write a page with pictures, in HTML")


def run(arguments: argparse.Namespace) -> int:
    """Compare the models, print the table and write the report; the exit status."""
    options = Options(
        eps=arguments.eps,
        limit=arguments.examples,
        batch=arguments.batch,
        classes=arguments.classes,
        scale=arguments.scale,
        box=arguments.box,
        architecture=arguments.architecture,
        strong=arguments.strong,
    )
    report = None if arguments.report is None else path_of(arguments.report)
    if report is not None and (report.is_dir() or not report.parent.is_dir()):
        raise ValueError(f"--report {report}: a file in a folder that exists is needed")
    with free_memory_only():
        outcome = check(arguments.models, arguments.data, options)
        print(outcome.text())
        if report is not None:
            _write(report, outcome)
            print(f"\nreport: {report}")
    return outcome.status


def _write(report: Path, outcome: CheckOutcome) -> None:
    from .page import page  # Matplotlib is slow to import

    try:
        report.write_text(page(outcome), encoding="utf-8")
    except OSError as error:
        raise OSError(
            f"--report {report}: cannot be written ({error.strerror}); free some space, or name another file"
        ) from None


__all__ = ["ABOUT", "MORE", "add_arguments", "run"]
