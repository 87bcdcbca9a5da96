"""What a chapter calls: quote code, print statements, load rows, glue numbers."""

import inspect
import textwrap
from collections.abc import Callable

from IPython.display import Markdown

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


__all__ = ["show", "state", "verify"]
