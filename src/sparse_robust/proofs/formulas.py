r"""The formulas of statements: sympy objects that know how they look on the page and what their value is.

Imports nothing of the package. A *case* maps symbols to exact values; :func:`evaluate` reads a formula in a
case, :func:`latex` prints it. Values may be sympy symbols: then :func:`holds` is a proof for all of their
values.
"""

from __future__ import annotations

import operator as arithmetic
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import reduce
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.precedence import PRECEDENCE
from sympy.utilities.iterables import sift

Case = Mapping[Any, Any]
"""A value for each symbol (and each IndexedBase: a mapping from indices)."""
Claim: TypeAlias = sp.Basic | tuple[sp.Basic, ...]
OUTCOMES = sp.Symbol("omega")
"""In a case: the (probability, case of what the outcome settles) of a finite distribution."""


def operator(
    name: str,
    template: str,
    value: Callable[..., Any],
    base: type[sp.Basic] = sp.Function,
    **assumptions: bool,
) -> type[sp.Function]:
    r"""A named function: how it looks on the page and what it is.

    Args:
        name: for Python's representation.
        template: LaTeX with the arguments as ``{0}``, ``{1}`` or, in parentheses if they are sums, as
            ``{a}``, ``{b}``: ``r"\lVert {0} \rVert_1"``, ``r"{a}^T {b}"``.
        value: the function on exact values.
        base: sympy's class of functions; of predicates it is ``BooleanFunction``.
        assumptions: sympy's, as ``real=True, nonnegative=True``.
    """

    def look(self: sp.Function, printer: LatexPrinter, exp: str | None = None) -> str:
        guarded = (printer.parenthesize(arg, PRECEDENCE["Mul"]) for arg in self.args)
        text = template.format(*map(printer._print, self.args), **dict(zip("abcd", guarded, strict=False)))
        if exp is None:
            return text
        return rf"{text}^{{{exp}}}" if text.startswith(r"\lVert") else rf"\left({text}\right)^{{{exp}}}"

    traits = {f"is_{key}": fact for key, fact in assumptions.items()}
    return type(name, (base,), {"_latex": look, "value": staticmethod(value), **traits})


indicator = operator("Indicator", "1_{{{0}}}", int, real=True, nonnegative=True)
"""1 where a relation holds, else 0."""
root = operator("Root", r"\sqrt{{{0}}}", lambda x: sp.sqrt(sp.sympify(x)), real=True, nonnegative=True)
"""The square root, all of it under one sign; sympy's own takes numbers out."""


class Over(sp.Expr):
    """``body`` for every value of ``index`` that meets ``condition``; the case gives index its values."""

    is_commutative = True
    sign = ""
    join: Callable[[list[Any]], Any]

    def __new__(cls, body: sp.Basic, index: sp.Symbol, condition: sp.Basic | bool = True) -> Over:
        """Like sympy's own constructors: ``condition`` limits the values of ``index``."""
        return sp.Expr.__new__(cls, sp.sympify(body), index, sp.sympify(condition))

    @property
    def body(self) -> sp.Expr:
        """What stands under the sign."""
        return self.args[0]

    def _eval_subs(self, old: sp.Basic, new: sp.Basic) -> sp.Basic | None:
        return self if old == self.args[1] else None  # the index is bound

    def _latex(self, printer: LatexPrinter) -> str:
        body, index, condition = self.args
        term = printer.parenthesize(body, PRECEDENCE["Mul"], strict=True)
        return rf"{self.sign}_{{{_range(printer, index, condition)}}} {term}"

    def written_out(self, values: Iterable[int]) -> sp.Expr:
        """The same for those of these values whose condition is not false, as a plain sympy expression."""
        body, index, condition = self.args
        return self.join([body.subs(index, v) for v in values if condition.subs(index, v) != sp.false])


class Total(Over):
    """A sum."""

    sign, join = r"\sum", staticmethod(lambda terms: reduce(arithmetic.add, terms, sp.Integer(0)))


class Least(Over):
    """A minimum."""

    sign, join = r"\min", staticmethod(lambda terms: _extreme(terms, sp.Min, min))


class Largest(Over):
    """A maximum."""

    sign, join = r"\max", staticmethod(lambda terms: _extreme(terms, sp.Max, max))


class Every(Over):
    """A relation that holds for every value of the index."""

    sign, join = r"\forall", staticmethod(all)

    def _latex(self, printer: LatexPrinter) -> str:
        body, index, condition = self.args
        return rf"{printer._print(body)} \text{{ for every }} {_range(printer, index, condition)}"


class Iff(sp.Basic):
    """Two relations of which both hold or neither does."""

    value = staticmethod(lambda left, right: left == right)

    def _latex(self, printer: LatexPrinter) -> str:
        return r" \iff ".join(map(printer._print, self.args))


class Mean(sp.Expr):
    """E(body | given) over the outcomes of the case."""

    is_commutative = True
    head = r"\mathbb{E}"

    def __new__(cls, body: sp.Basic, given: sp.Basic | bool = True) -> Mean:
        """Like sympy's own constructors: ``given`` is the event on which to condition."""
        return sp.Expr.__new__(cls, sp.sympify(body), sp.sympify(given))

    def _latex(self, printer: LatexPrinter) -> str:
        inside = r" \mid ".join(printer._print(arg) for arg in self.args if arg != sp.true)
        return rf"{self.head}\left({inside}\right)"


class Pr(Mean):
    """Pr(body | given) over the outcomes of the case."""

    head = r"\Pr"


def chain(*parts: Any) -> tuple[sp.Basic, ...]:
    """``chain(a, sp.Eq, b, sp.Le, c)`` is the claim a = b <= c."""
    sides, relations = parts[::2], parts[1::2]
    return tuple(rel(p, q) for p, rel, q in zip(sides[:-1], relations, sides[1:], strict=True))


def sides(claim: tuple[sp.Basic, ...]) -> tuple[sp.Basic, ...]:
    """The terms of a chain of relations, from left to right."""
    return (claim[0].args[0], *(relation.args[1] for relation in claim))


def latex(formula: Claim) -> str:
    """A formula, or a chain of relations, as the page shows it.

    Raises:
        ValueError: if consecutive relations of a chain share no side.
    """
    if not isinstance(formula, tuple):
        return str(_Page().doprint(formula))
    text = latex(formula[0])
    for before, after in pairwise(formula):
        if before.args[1] != after.args[0]:
            raise ValueError(f"no chain: {before} and {after} do not share a side")
        text += latex(after).removeprefix(latex(after.args[0]))
    return text


def _range(printer: LatexPrinter, index: sp.Symbol, condition: sp.Basic) -> str:
    if condition == sp.true:
        return str(printer._print(index))
    named = "" if index in condition.args else rf"{printer._print(index)} :\, "
    return named + str(printer._print(condition))


class _Page(LatexPrinter):
    def _as_ordered_terms(self, expr: sp.Add, order: str | None = None) -> list[sp.Expr]:
        return sorted(expr.args, key=lambda term: (term.could_extract_minus_sign(), *_rank(term)))

    def _print_Mul(self, expr: sp.Mul) -> str:  # noqa: N802 (sympy's name)
        tall = [factor for factor in expr.args if isinstance(factor, Over) or _is_fraction(self, factor)]
        rest = sp.Mul(*(factor for factor in expr.args if factor not in tall))
        if not expr.is_Mul or len(tall) != 1 or rest.has(Over):
            return str(super()._print_Mul(expr))
        front = "-" if rest == -1 else self.parenthesize(rest, PRECEDENCE["Mul"], strict=True)
        return f"{front} {self.parenthesize(tall[0], PRECEDENCE['Mul'], strict=True)}"

    def _print_sign(self, expr: sp.sign) -> str:
        return rf"\mathrm{{sgn}}({self._print(expr.args[0])})"

    def _print_Symbol(self, expr: sp.Symbol, style: str = "plain") -> str:  # noqa: N802 (sympy's name)
        return expr.name if "\\" in expr.name or "{" in expr.name else super()._print_Symbol(expr, style)


def _rank(term: sp.Expr) -> tuple[bool, bool, bool]:
    names = [symbol.name for symbol in term.free_symbols if isinstance(symbol, sp.Symbol)]
    greek = bool(names) and all(len(name) > 1 for name in names)
    return not term.has(sp.Function), bool(term.is_Symbol or term.is_number), greek  # x + delta


def _is_fraction(printer: LatexPrinter, factor: sp.Expr) -> bool:
    return isinstance(factor, sp.Function) and printer._print(factor).startswith(r"\frac")


def evaluate(formula: sp.Basic, case: Case) -> Any:
    """The value of a formula in a case, exactly.

    Raises:
        ZeroDivisionError: where the formula divides by zero, or conditions on an event that never happens.
        KeyError: if the case lacks a symbol.
        ValueError: if a comparison of symbolic values is not decided by their assumptions.
    """
    if formula in case:
        return _exact(case[formula])
    if isinstance(formula, Over):
        body, index, condition = formula.args
        inner = [{**case, index: value} for value in case[index]]
        return formula.join([evaluate(body, each) for each in inner if evaluate(condition, each)])
    if isinstance(formula, Mean):
        body, given = formula.args
        outcomes = [(mass, {**case, **outcome}) for mass, outcome in case[OUTCOMES]]
        kept = [(mass, each) for mass, each in outcomes if evaluate(given, each)]
        whole = sum(mass for mass, _ in outcomes) if given == sp.true else sum(mass for mass, _ in kept)
        return reduce(arithmetic.add, (mass * evaluate(body, each) for mass, each in kept), 0) / whole
    if isinstance(formula, sp.Sum | sp.Product):
        body, (index, *ends) = formula.args[0], formula.args[1]
        low, high = (int(evaluate(end, case)) for end in ends)
        values = [evaluate(body, {**case, index: value}) for value in range(low, high + 1)]
        return reduce(arithmetic.add if isinstance(formula, sp.Sum) else arithmetic.mul, values)
    if isinstance(formula, sp.Indexed):
        indices = tuple(evaluate(i, case) for i in formula.indices)
        return _exact(case[formula.base][indices[0] if len(indices) == 1 else indices])
    if isinstance(formula, sp.Rational):
        return Fraction(formula.p, formula.q)
    if isinstance(formula, sp.logic.boolalg.BooleanAtom):
        return bool(formula)
    if formula.is_Number or formula.is_NumberSymbol:
        return formula
    if formula.is_Symbol:
        raise KeyError(f"the case gives {formula} no value")
    if isinstance(formula, sp.Mul):
        return _product(formula.args, case)
    if isinstance(formula, sp.And):
        return _conjunction(formula.args, case)
    compute = getattr(formula.func, "value", None) or _ARITHMETIC[formula.func]
    return compute(*(evaluate(arg, case) for arg in formula.args))


def holds(formula: Claim, case: Case) -> bool:
    """Whether a claim or hypothesis is true in a case; one that divides by zero there is not."""
    if isinstance(formula, tuple):
        return all(holds(relation, case) for relation in formula)
    try:
        return bool(evaluate(formula, case))
    except ZeroDivisionError:
        return False


def sign(a: Any) -> Any:
    """-1, 0 or 1."""
    return sp.sign(a) if isinstance(a, sp.Basic) else (a > 0) - (a < 0)


def _exact(value: Any) -> Any:
    return Fraction(value) if type(value) is int else value  # Python would divide integers in floating point


def _extreme(terms: list[Any], symbolic: Callable[..., Any], plain: Callable[..., Any]) -> Any:
    undecided = any(isinstance(term, sp.Basic) and term.free_symbols for term in terms)
    return symbolic(*terms) if undecided else plain(terms)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return all(_equal(p, q) for p, q in np.broadcast(a, b))
    return bool(a == b) or (isinstance(a - b, sp.Basic) and sp.simplify(a - b) == 0)


def _product(factors: Iterable[sp.Basic], case: Case) -> Any:
    """The product; where an indicator is 0, nothing is asked of the other factors."""
    switches, others = sift(factors, lambda factor: isinstance(factor, indicator), binary=True)
    if not _conjunction(switches, case):
        return 0
    return reduce(arithmetic.mul, (evaluate(factor, case) for factor in others), 1)


def _conjunction(facts: Iterable[sp.Basic], case: Case) -> bool:
    """Whether all are true; one that is false settles it, whatever the others are."""
    undecided: Exception | None = None
    for fact in facts:
        try:
            if not evaluate(fact, case):
                return False
        except (ValueError, ZeroDivisionError) as open_question:
            undecided = open_question
    if undecided:
        raise undecided
    return True


def _at_most(a: Any, b: Any) -> bool:
    return _decided(a <= b, lambda: (_gap(a, b).is_nonnegative, _gap(a, b).is_negative))


def _below(a: Any, b: Any) -> bool:
    return _decided(a < b, lambda: (_gap(a, b).is_positive, _gap(a, b).is_nonpositive))


def _gap(a: Any, b: Any) -> sp.Expr:
    return sp.factor(sp.expand(b - a))


def _decided(comparison: Any, facts: Callable[[], tuple[bool | None, bool | None]]) -> bool:
    """A comparison, or, where its symbols leave it open, what is known for it and against it."""
    if not isinstance(comparison, sp.core.relational.Relational):
        return bool(comparison)
    true, false = facts()
    if not (true or false):
        raise ValueError(f"cannot decide whether {comparison}")
    return bool(true)


def _power(base: Any, exponent: Any) -> Any:
    if exponent < 0 and base == 0:
        raise ZeroDivisionError("a formula divides by zero")
    whole = exponent == int(exponent)
    return base ** int(exponent) if whole else sp.Pow(sp.sympify(base), sp.sympify(exponent))


_ARITHMETIC: dict[type, Callable[..., Any]] = {
    sp.Add: lambda *terms: reduce(arithmetic.add, terms),
    sp.Pow: _power,
    sp.Abs: abs,
    sp.sign: sign,
    sp.exp: sp.exp,
    sp.log: sp.log,
    sp.tanh: lambda a: (sp.exp(2 * a) - 1) / (sp.exp(2 * a) + 1),
    sp.Max: max,
    sp.Min: min,
    sp.Le: _at_most,
    sp.Lt: _below,
    sp.Ge: lambda a, b: _at_most(b, a),
    sp.Gt: lambda a, b: _below(b, a),
    sp.Eq: _equal,
    sp.Ne: lambda a, b: not _equal(a, b),
    sp.Or: lambda *facts: any(facts),
    sp.Not: lambda fact: not fact,
    sp.Implies: lambda premise, conclusion: conclusion or not premise,
}
