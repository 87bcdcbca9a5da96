"""The claims ledger as the book shows it: grouped by part of the paper, one line for each claim."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import get_args

from IPython.display import HTML

from sparse_robust.studies import ledger
from sparse_robust.studies.rules import Verdict


@dataclass(frozen=True)
class PaperPart:
    """A part of the paper that is judged, and the chapter that reruns it.

    Attributes:
        title: as the ledger heads it.
        chapter: the chapter's document below ``book/``.
        experiments: whose claims belong to it.
    """

    title: str
    chapter: str
    experiments: tuple[str, ...]


PARTS: tuple[PaperPart, ...] = (
    PaperPart("Figure 1: linear models", "linear/figure-1", ("linear-binary", "linear-multiclass")),
    PaperPart("Figures 2 and 3: LeNet-300-100", "experiments/lenet-300-100", ("lenet-300-100",)),
    PaperPart("Figures 2 and 3: LeNet-5", "experiments/lenet-5", ("lenet-5",)),
    PaperPart("Figure 2: VGG-like net", "experiments/vgg", ("vgg",)),
    PaperPart("Figure 2: ResNet-32", "experiments/resnet-32", ("resnet-32",)),
    PaperPart(
        "Table 1: activation sparsity",
        "experiments/activation-sparsity",
        ("activation-sparsity", "activation-sparsity-lenet-5"),
    ),
    PaperPart("Table 2: over-pruning", "experiments/over-pruning", ("over-pruning",)),
    PaperPart("Table 3: CLEVER", "experiments/clever", ("clever",)),
    PaperPart("Section 4.3: our own surgery", "experiments/surgery", ("surgery", "surgery-lenet-5")),
    PaperPart("Beyond the paper: stronger attacks", "beyond/stronger-attacks", ("strong-attacks",)),
    PaperPart(
        "Beyond the paper: certificates",
        "beyond/certificates-against-attacks",
        ("verification", "certificates"),
    ),
)
"""In the order of the paper, then of the book."""

SIGNS: dict[str, str] = {
    "reproduced": "✓",
    "partly": "◐",
    "not reproduced": "✕",
    "undecided": "?",
    "not a test": "○",
    "not run": "–",
}
"""A sign for each verdict, so that colour is not all that tells them apart."""


def ledger_page(profile: str, names: Iterable[str] | None = None) -> HTML:
    """The claims ledger: whole, in groups that can be filtered by verdict, or some claims by name, as a list.

    Every claim is one line with its verdict, and unfolds to the numbers and the reason. Its anchor is
    ``claim-NAME``.
    """
    entries = ledger.records(profile)
    if names is not None:
        chosen = set(names)
        return HTML(f'<div class="ledger">{_claims(e for e in entries if e["name"] in chosen)}</div>')
    groups = "".join(
        f'<h3>{escape(part.title)} <a href="../{part.chapter}.html">chapter</a></h3>{_claims(of_part)}'
        for part, of_part in _by_part(entries)
    )
    return HTML(f'<div class="ledger">{_filter(entries)}{groups}</div>')


def verdict_strip(profile: str) -> HTML:
    """A line for each part of the paper: a sign for each of its claims, linked to its place in the ledger."""
    records = ledger.records(profile)
    lines = []
    for part, entries in _by_part(records):
        signs = "".join(
            f'<a class="sign {_class(e["verdict"])}" href="back/claims-ledger.html#claim-{e["name"]}" '
            f'aria-label="{escape(e["claim"])}: {e["label"]}" title="{escape(e["claim"])}: {e["label"]}">'
            f"{SIGNS[e['verdict']]}</a>"
            for e in entries
        )
        lines.append(
            f'<li><a href="{part.chapter}.html">{escape(part.title)}</a> '
            f'<span class="signs">{signs}</span></li>'
        )
    key = " ".join(
        f'<span class="{_class(verdict)}">{SIGNS[verdict]} {verdict}: {count}</span>'
        for verdict, count in _counts(records).items()
    )
    return HTML(f'<ul class="verdict-strip">{"".join(lines)}</ul><p class="verdict-key">{key}</p>')


def _by_part(entries: Sequence[dict[str, str]]) -> list[tuple[PaperPart, list[dict[str, str]]]]:
    """The parts that have claims, with their claims."""
    experiments = {claim.name: claim.experiment for claim in ledger.CLAIMS}
    grouped = [(p, [e for e in entries if experiments[e["name"]] in p.experiments]) for p in PARTS]
    return [(part, of_part) for part, of_part in grouped if of_part]


def _claims(entries: Iterable[dict[str, str]]) -> str:
    return "".join(map(_claim, entries))


def _claim(entry: dict[str, str]) -> str:
    verdict, scale = entry["verdict"], entry["label"].removeprefix(entry["verdict"])
    facts = [("Paper", entry["paper"]), ("Published", entry["published"]), ("Yours", entry["yours"])]
    facts += [("Why", entry["why"]), ("Where", entry["source"])]
    details = "".join(f"<dt>{head}</dt><dd>{_prose(text)}</dd>" for head, text in facts if text)
    return (
        f'<details class="claim" id="claim-{entry["name"]}" data-verdict="{verdict}"><summary>'
        f'<span class="verdict {_class(verdict)}">{SIGNS[verdict]} {verdict}</span>'
        f"<span>{_prose(entry['claim'])}{f' <small>({scale.strip()})</small>' if scale else ''}</span>"
        f"</summary><dl>{details}</dl></details>"
    )


def _filter(entries: Sequence[dict[str, str]]) -> str:
    """A box to tick for each verdict; the style sheet hides what is not ticked."""
    boxes = "".join(
        f'<label class="{_class(v)}"><input type="checkbox" data-show="{v}" checked> {v} ({count})</label>'
        for v, count in _counts(entries).items()
    )
    return f"<fieldset><legend>Show the claims that are</legend>{boxes}</fieldset>"


def _counts(entries: Iterable[dict[str, str]]) -> dict[str, int]:
    """How many claims have each verdict that any has, in the order of the verdicts."""
    counts = Counter(entry["verdict"] for entry in entries)
    return {verdict: counts[verdict] for verdict in get_args(Verdict) if counts[verdict]}


def _class(verdict: str) -> str:
    return f"verdict-{verdict.replace(' ', '-')}"


def _prose(text: str) -> str:
    """Text for a page, with the two metrics and the norms as the chapters set them."""
    line = escape(text, quote=False)
    for letter in "rl":
        for index, sign in (("inf", "∞"), ("2", "2"), ("1", "1")):
            line = line.replace(f"{letter}_{index}", f"<i>{letter}</i><sub>{sign}</sub>")
    return line
