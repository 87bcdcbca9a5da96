"""Numbers, matrices and polynomials as the page shows them, for examples whose every number is a claim.

The counterexamples of this part are statements about one network. Its weights and all that is said of them
stand on the page as claims: a symbol equals what is written, and the case has the symbol's value from the
network itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
import sympy as sp

from sparse_robust.proofs.formulas import Case, operator
from sparse_robust.theory.networks import fractions

NET, POINT = sp.Symbol("h"), sp.Symbol("x")
ALPHA = sp.Symbol("alpha", real=True)
"""The sparsity, where it is the same in all layers."""
SIGMA = operator("Sigma", r"\sigma({0})", lambda t: max(t, 0), real=True, nonnegative=True)
"""The rectifier."""


def written(text: str, value: Any) -> sp.Expr:
    """A constant that the page shows as ``text`` and that is ``value`` in every case."""
    return operator("Written", text.replace("{", "{{").replace("}", "}}"), lambda: value, real=True)()


def matrix(rows: Any) -> sp.Expr:
    """A matrix of rational numbers."""
    entries = fractions(rows)
    lines = r" \\ ".join(" & ".join(map(_number, row)) for row in entries)
    return written(rf"\begin{{pmatrix}} {lines} \end{{pmatrix}}", entries)


def row(numbers: Any) -> sp.Expr:
    """A vector of rational numbers, in a line."""
    return written(f"({', '.join(map(_number, fractions(numbers)))})", fractions(numbers))


def column(numbers: Any) -> sp.Expr:
    """A matrix of one column, as the transpose of a line."""
    entries = fractions(numbers)
    return written(f"({', '.join(map(_number, entries))})^T", entries[:, None])


def polynomial(expression: sp.Expr, *, per_line: int = 9) -> sp.Expr:
    """A polynomial by increasing powers, so many terms in a line."""
    terms = sp.expand(expression).as_ordered_terms(order="rev-lex")
    texts = [sp.latex(term) for term in terms]
    signed = [t if t.startswith("-") or not i else f"+ {t}" for i, t in enumerate(texts)]
    lines = [" ".join(signed[i : i + per_line]) for i in range(0, len(signed), per_line)]
    text = lines[0]
    if len(lines) > 1:
        text = r"\begin{aligned}[t] & " + r" \\ & {} ".join(lines) + r" \end{aligned}"
    return written(text, expression)


def at_points(values: Callable[[Any], Any], points: Iterable[Any]) -> list[Case]:
    """A function of one or two variables, x or x_1 and x_2, at points: what a formula for h is compared with.

    Args:
        values: the function, of an exact vector.
        points: numbers, or pairs of them.
    """
    cases: list[Case] = []
    for point in points:
        x = fractions(np.atleast_1d(np.array(point, dtype=object)))
        named = {POINT: x[0]} if len(x) == 1 else {}
        cases.append({NET: values(x), **named, **{sp.Symbol(f"x_{i + 1}"): v for i, v in enumerate(x)}})
    return cases


@cache
def _number(value: Any) -> str:
    return str(sp.latex(sp.Rational(value)))
