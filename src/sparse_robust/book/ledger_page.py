"""The claims ledger as a page of the book."""

from collections.abc import Iterable

from IPython.display import Markdown

from sparse_robust.studies import ledger


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
