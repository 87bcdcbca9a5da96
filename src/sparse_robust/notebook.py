"""What a chapter calls: quote code, print statements, load rows, glue numbers."""

import inspect
import textwrap
from collections.abc import Callable, Iterable

import pandas as pd
from IPython.display import Markdown

from sparse_robust.experiments import find_profile, ledger, run
from sparse_robust.experiments.statistics import frame, stored, with_training
from sparse_robust.theory import claims


def show(obj: Callable[..., object] | type) -> Markdown:
    """The source of ``obj`` as Markdown, so that a chapter quotes the very code that runs."""
    source = textwrap.dedent(inspect.getsource(obj)).rstrip()
    return Markdown(f"```python\n{source}\n```")


def state(label: str) -> Markdown:
    """The registered statement ``label`` as a numbered, referable environment of the book."""
    c = claims.get(label)
    return Markdown(f":::{{prf:{c.kind}}} {c.title}\n:label: {c.label}\n\n{c.statement}\n:::")


def verify(label: str) -> None:
    """Run the check of ``label`` in the reader's sight and print what it amounts to.

    Raises:
        AssertionError: if the statement does not hold.
    """
    verdict = claims.run(label)
    assert verdict.error is None, f"{label}: {verdict.error}"
    uses = ", ".join(verdict.claim.uses) or "nothing else"
    print(f"{label}: {verdict.claim.status}; rests on {uses}")


def load_rows(name: str, profile: str, device: str = "cpu") -> pd.DataFrame:
    """The rows of an experiment: read when published, computed as far as they are missing otherwise.

    Args:
        name: as in the catalogue.
        profile: ``published`` for the committed rows, of the paper's protocol where that has been run;
            else ``smoke``, ``laptop`` or ``paper``.
        device: where to compute, ``cpu`` or ``cuda``.

    Raises:
        FileNotFoundError: if nothing is published of this experiment.
        ValueError: if the profile is unknown.
    """
    if profile == "published":
        table = stored(name, profile)
        if table.empty:
            raise FileNotFoundError(
                f"no published rows of {name!r} under its present spec: run it, commit them"
            )
        return table
    scale = find_profile(profile)
    return with_training(frame(run(name, scale, device=device, quiet=True)), name, scale)


def provenance(table: pd.DataFrame) -> str:
    """Where the numbers of a figure come from, in a line."""

    def every(column: str) -> str:
        return ", ".join(sorted({str(value) for value in table[column]}))

    commit = every("commit") + (" with uncommitted changes" if table.dirty.any() else "")
    n = table[table.metric == "accuracy"].n.max()
    scale = "" if every("scale") == "paper" else f", {every('scale')} scale"
    return (
        f"{every('experiment')}{scale}: {table.seed.nunique()} seeds, n = {n} test images,"
        f" {every('data_description')}"
        f" ({every('data')}); commit {commit}, torch {every('torch')}, {every('device')}"
    )


def ledger_page(profile: str, names: Iterable[str] | None = None) -> Markdown:
    """The claims ledger, or some of its claims by name, as a Markdown table with a badge per verdict."""
    chosen = None if names is None else set(names)
    head = (
        "| Claim | Paper | Published | " + ("" if profile == "published" else "Yours | ") + "Verdict | Why |"
    )
    lines = [head, "|---" * (head.count("|") - 1) + "|"]
    for entry in ledger.records(profile):
        if chosen is None or entry["name"] in chosen:
            verdict = entry["verdict"]
            badge = f'<span class="verdict-{verdict.replace(" ", "-")}">{verdict}</span>'
            badge += entry["label"].removeprefix(verdict)
            yours = [] if profile == "published" else [entry["yours"] or "–"]
            cells = [
                f"{entry['claim']} ({entry['source']})",
                entry["paper"],
                entry["published"] or "–",
                *yours,
                badge,
                entry["why"],
            ]
            line = "| " + " | ".join(cells) + " |"
            lines.append(line.replace("r_2", "$r_2$").replace("r_inf", r"$r_\infty$"))
    return Markdown("\n".join(lines))


__all__ = ["ledger_page", "load_rows", "provenance", "show", "state", "verify"]
