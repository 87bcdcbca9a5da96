r"""Statements whose page and whose check are made from the same formulas.

A statement is registered by decorating its derivation. Its claims and hypotheses are sympy relations; the
docstring is the prose around them, with ``<<name>>`` where the formula of that name stands::

    W, B, EPS, R_INF = sp.Symbol("w"), sp.Symbol("b"), sp.Symbol("epsilon"), sp.Symbol(r"r_\infty")
    L1 = operator("L1", r"\lVert {0} \rVert_1", lambda v: sum(map(abs, v)))   # how it looks, what it is

    @statement("prop-bound", kind="proposition", title="A bound", source="this book", status="proved",
               uses=("lem-markov",), cases=cases,
               hypotheses={"nonzero": sp.Ne(L1(W), 0)}, without={"nonzero": zero_weights},
               claims={"bound": sp.Le(R_INF, B / (EPS * L1(W)))})
    def bound(bound: sp.Rel) -> None:
        r'''If $<<nonzero>>$, then $<<bound>>$.'''
        ...  # derive the claim with sympy from what it uses; an AssertionError where it does not follow

A *case* maps symbols to exact values: ``{W: array(...), EPS: Fraction(1, 10), R_INF: ...}``, computed from
definitions and never from the claim. Values may be sympy symbols: then :func:`holds` is a proof for all of
their values. :meth:`Statement.check` runs the derivation with the claims as keyword
arguments, and reads the very same formulas in every case of ``cases()``:

- where all hypotheses hold, every claim must hold;
- every inequality, also inside :class:`Every` and behind ``sp.Implies`` (there unless it is one with 0), must
  be attained up to one per cent in some case, so that no smaller constant survives, unless ``loose`` says why
  it is not; of an :class:`Iff` both sides hold in one case and fail in another;
- for each hypothesis, ``without`` has a case that meets all the others and fails a claim, or the reason
  why there is none. Such cases are among those tried, so that a hypothesis dropped turns the check red.

A claim is a relation or, for a chain such as :math:`a = b \le c`, a tuple of relations (:func:`chain`).
A definition on the page is a claim like any other. Bound variables: :class:`Total`, :class:`Least`,
:class:`Every` over an index whose values are in the case; :class:`Mean` and :class:`Pr` over its
``OUTCOMES``. A statement without claims is its docstring, and its derivation is the whole check.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain as concatenated
from typing import Literal, get_args

import sympy as sp

from .formulas import OUTCOMES, Case, Claim, Every, Iff, evaluate, holds, latex

Status = Literal[
    "proved",  # derived symbolically, in the generality of the statement, from what it uses
    "kernel proved, glue argued",  # the algebra symbolically; what joins it to the statement is prose
    "proved for small n",  # symbolically, for the sizes that the check names
    "checked exactly on an example",  # rational arithmetic, no rounding
    "checked numerically",  # floating point, random or real inputs
    "argued",  # a human argument in the book, spot-checked by the code
    "cited",  # taken from the literature
]
Kind = Literal["theorem", "proposition", "lemma", "corollary", "definition", "erratum", "counterexample"]
MACHINE_CHECKED: frozenset[str] = frozenset({"proved", "checked exactly on an example"})
"""The statuses that leave nothing to trust but the computer algebra system."""
TIGHT = Fraction(99, 100)
"""An inequality counts as attained where the smaller side is at least this part of the larger one."""


@dataclass(frozen=True)
class Statement:
    """One statement, its formulas, and the derivation and cases that back it.

    Attributes:
        label: the cross-reference label, unique, as the book uses it (``{prf:ref}`label```).
        kind: which environment the book prints it in.
        title: a short name.
        prose: MyST Markdown, from the derivation's docstring, with ``<<name>>`` for formulas.
        source: where the statement comes from ("paper, Theorem 3.1, equation (2)"; "this book").
        status: what the check amounts to.
        uses: labels of the statements that the proof rests on.
        proof: the derivation, called with the claims by name; an AssertionError where one fails.
        hypotheses, claims: the formulas, by the name under which the prose quotes them.
        cases: where hypotheses and claims are evaluated.
        without: for each hypothesis, a case that fails a claim without it, or why there is none.
        loose: for claims with an inequality that is not attained, why.
    """

    label: str
    kind: Kind
    title: str
    prose: str
    source: str
    status: Status
    uses: tuple[str, ...]
    proof: Callable[..., None]
    hypotheses: Mapping[str, sp.Basic] = field(default_factory=dict)
    claims: Mapping[str, Claim] = field(default_factory=dict)
    cases: Callable[[], Iterable[Case]] | None = None
    without: Mapping[str, Callable[[], Case] | str] = field(default_factory=dict)
    loose: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The statement as the book prints it: the prose, with the formulas that the check evaluates."""
        formulas = {**self.hypotheses, **self.claims}
        return re.sub(r"<<([\w-]+)>>", lambda match: latex(formulas[match[1]]), self.prose)

    def check(self) -> None:
        """Derive the claims, and evaluate them in every case.

        Raises:
            AssertionError: if a step or a claim fails, a bound is nowhere attained, a hypothesis is idle.
            ValueError: if the text cannot be printed, as the relations of a chain share no side.
        """
        assert self.text
        if self.cases is not None:
            self._try_cases(self.cases())
        self.proof(**self.claims)

    def _try_cases(self, cases: Iterable[Case]) -> None:
        witnesses = {name: make() for name, make in self.without.items() if not isinstance(make, str)}
        tight: set[tuple[str, int]] = set()
        sides: set[tuple[str, int, bool]] = set()
        tried = 0
        for case in concatenated(witnesses.values(), cases):
            if not all(holds(formula, case) for formula in self.hypotheses.values()):
                continue
            tried += 1
            for name, number, relation in self._relations():
                assert holds(relation, case), f"{name}, {relation}, fails in {_shown(case)}"
                if _attained(relation, case):
                    tight.add((name, number))
                if isinstance(relation, Iff):
                    sides.add((name, number, bool(evaluate(relation.args[0], case))))
        assert tried, "no case meets the hypotheses"
        for name, number, relation in self._relations():
            assert relation.args[0] != relation.args[1], f"{name}: both sides of {relation} are the same"
            settled = name in self.loose or (name, number) in tight
            assert settled or not _inequality(relation), f"{relation} is never attained"
            both = {(name, number, truth) for truth in (True, False)} <= sides
            assert both or not isinstance(relation, Iff), f"the sides of {relation} never change"
        for name in self.hypotheses:
            assert name in self.without, f"say why {name} is needed: a case without it, or a reason"
        for name, case in witnesses.items():
            others = (formula for other, formula in self.hypotheses.items() if other != name)
            assert all(holds(formula, case) for formula in others), f"{name}: its case breaks another one too"
            assert not all(holds(claim, case) for claim in self.claims.values()), f"{name} is not needed"

    def _relations(self) -> list[tuple[str, int, sp.Basic]]:
        chains = ((name, c if isinstance(c, tuple) else (c,)) for name, c in self.claims.items())
        return [(name, number, relation) for name, c in chains for number, relation in enumerate(c)]


def _inequality(relation: sp.Basic) -> bool:
    """Whether the relation, or what it says inside "for every" or behind "implies", bounds one by another."""
    if isinstance(relation, Every | sp.Implies):
        inside = relation.body if isinstance(relation, Every) else relation.args[1]
        return _inequality(inside) and 0 not in inside.args
    return isinstance(relation, sp.Le | sp.Ge | sp.Lt | sp.Gt)


def _attained(relation: sp.Basic, case: Case) -> bool:
    if not _inequality(relation):
        return False
    if isinstance(relation, Every):
        body, index, condition = relation.args
        inner = ({**case, index: value} for value in case[index])
        return any(_attained(body, each) for each in inner if evaluate(condition, each))
    if isinstance(relation, sp.Implies):
        premise, conclusion = relation.args
        return bool(evaluate(premise, case)) and _attained(conclusion, case)
    small, large = sorted(abs(evaluate(side, case)) for side in relation.args)
    return bool(small > 0) and bool(small >= TIGHT * large)


def _shown(case: Case) -> str:
    return ", ".join(f"{symbol} = {value}" for symbol, value in case.items() if symbol != OUTCOMES)


REGISTERED: dict[str, Statement] = {}
"""Filled by the decorator as modules of proofs are imported; read it through :mod:`.registry`."""


def statement(
    label: str,
    *,
    kind: Kind,
    title: str,
    source: str,
    status: Status,
    uses: tuple[str, ...] = (),
    hypotheses: Mapping[str, sp.Basic] | None = None,
    claims: Mapping[str, Claim] | None = None,
    cases: Callable[[], Iterable[Case]] | None = None,
    without: Mapping[str, Callable[[], Case] | str] | None = None,
    loose: Mapping[str, str] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register the decorated derivation under ``label``; its docstring is the prose of the statement.

    Raises:
        ValueError: if the label is taken, the status or kind unknown, the docstring missing, a formula
            quoted that is not there, or one there that is not quoted.
    """

    def register(proof: Callable[..., None]) -> Callable[..., None]:
        prose = inspect.getdoc(proof)
        if not prose:
            raise ValueError(f"statement {label!r}: give the check a docstring, it is the statement")
        if label in REGISTERED:
            raise ValueError(
                f"statement {label!r} is registered twice, in {REGISTERED[label].proof.__module__}"
            )
        if status not in get_args(Status):
            raise ValueError(f"statement {label!r}: status {status!r} is none of {get_args(Status)}")
        if kind not in get_args(Kind):
            raise ValueError(f"statement {label!r}: kind {kind!r} is none of {get_args(Kind)}")
        named = {**(hypotheses or {}), **(claims or {})}
        quoted = set(re.findall(r"<<([\w-]+)>>", prose))
        if odd := sorted(quoted ^ set(named)):
            raise ValueError(f"statement {label!r}: quoted but not given, or given but not quoted: {odd}")
        REGISTERED[label] = Statement(
            label, kind, title, prose, source, status, uses, proof,
            hypotheses or {}, claims or {}, cases, without or {}, loose or {},
        )  # fmt: skip
        return proof

    return register
