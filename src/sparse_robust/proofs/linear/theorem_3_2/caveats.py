"""What the paper says after Theorem 3.2 about biases and sparsity, put to the test."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import sympy as sp

from sparse_robust.proofs.formulas import Case, chain
from sparse_robust.proofs.foundations.notation import L2, R_2, K, array, written
from sparse_robust.proofs.linear.notation import MU, T, multiclass_case
from sparse_robust.proofs.linear.populations import Example
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.laws import FiniteLaw, Multiclass, dot, vector

from .evaluation import class_terms, quotient
from .paper import from_average, mixture

CLASSES, HIDDEN = 10, 300
SPARSITIES = (Fraction(9, 10), Fraction(19, 20), Fraction(99, 100))


def mean_zero_probability(sparsity: sp.Expr, classes: int) -> sp.Expr:
    """Pr(a coordinate of wbar, or of w_k - wbar, is 0) for generic weights on independent random supports."""
    return sparsity**classes


def product_zero_probability(sparsity: sp.Expr, hidden: sp.Expr) -> sp.Expr:
    """Pr(an entry of the product of two layers is 0) for generic weights on independent random supports."""
    return (1 - (1 - sparsity) ** 2) ** hidden


def enumerated(sparsity: sp.Expr, factors: int, terms: int) -> sp.Expr:
    """Pr(all of ``terms`` products of ``factors`` masked weights are 0), summed over all masks."""
    total = sp.Integer(0)
    for mask in product((0, 1), repeat=factors * terms):
        if not any(all(mask[t * factors : (t + 1) * factors]) for t in range(terms)):
            total += (1 - sparsity) ** sum(mask) * sparsity ** (len(mask) - sum(mask))
    return sp.expand(total)


WEIGHTS, BIASES, POINTS = (sp.Symbol(name, real=True) for name in "wbx")
BARE, LIFTED = (sp.Symbol(rf"\text{{left half of (6) with }} {w}", real=True) for w in ("w_k", "[w_k; b_k]"))


def line_case() -> Iterator[Case]:
    """The bounds without the biases, and with the biases as weights."""
    model = Multiclass(tuple(vector([w]) for w in (-1, 0, 2)), vector((3, 2, -3)))
    law = FiniteLaw.of([(1, k, [x]) for k, x in enumerate((0, 2, 4))])
    bare = lifted = Fraction(0)
    for k, mass, given in class_terms(law, model):
        v, beta = model.centred(k)
        score = dot(v, given.mean())
        bare += mass * quotient(score, v, "2")[1]
        lifted += mass * quotient(score + beta, (*v, beta), "2")[1]
    yield {
        **multiclass_case(Example(law, model, Fraction(1, 100))),
        WEIGHTS: array(w for (w,) in model.rows), BIASES: array(model.biases),
        POINTS: array(a.x[0] for a in law.atoms), BARE: bare, LIFTED: lifted,
    }  # fmt: skip


@statement(
    "err-bias-classes",
    kind="erratum",
    title="With several classes the biases do not cancel",
    source='paper, section 3.1, "all our theoretical results in the sequel apply directly to linear cases"',
    status="checked exactly on an example",
    uses=("prop-distance-classes", "prop-cross-entropy-gradient"),
    claims={
        "weights": sp.Eq(WEIGHTS, written(-1, 0, 2)),
        "biases": sp.Eq(BIASES, written(3, 2, -3)),
        "points": sp.Eq(POINTS, written(0, 2, 4)),
        "right": sp.Eq(T, 1),
        "bare": chain(BARE, sp.Eq, sp.Rational(2, 3), sp.Lt, R_2, sp.Eq, 1),
        "lifted": chain(LIFTED, sp.Lt, sp.Rational(7, 10), sp.Lt, R_2),
        "true": sp.Eq(mixture(from_average(MU[K], L2)), sp.Rational(37, 20)),
    },
    cases=line_case,
    loose=dict.fromkeys(("bare", "lifted"), "an example, which holds with something to spare"),
)
def bias_classes(**claims: object) -> None:
    r"""In Theorem 3.2 the numerators need $b_k - \bar b$ added ({prf:ref}`thm-3-2-plus`). On the line let
    there be three classes with $<<weights>>$, $<<biases>>$ and mass $1/3$ each, class by class, at
    $<<points>>$. All are classified correctly, $<<right>>$. Without the biases the left half of (6) is

    $$<<bare>>,$$

    and with $[w_k; b_k]$ and $[x; 1]$ in place of $w_k$ and $x$, as the paper proposes, $$<<lifted>> :$$ both
    "bounds" are false. With $b_k - \bar b$ added to the numerators $$<<true>> .$$
    """
    (case,) = line_case()
    assert case[R_2] == 1


ALPHA, C = sp.Symbol("alpha", real=True), sp.Symbol("c", integer=True, positive=True)
ALL_MASKED, DENSITY = (
    sp.Symbol(r"\Pr(\text{all masked})", real=True),
    sp.Symbol(r"\Pr(\text{not all})", real=True),
)
PERCENT_DENSE = sp.Symbol(r"\lfloor 100\,(1 - 0.9^{10}) \rfloor", real=True)


def mask_cases() -> Iterator[Case]:
    """All masks of one coordinate, for several numbers of classifiers."""
    alpha = sp.Symbol("alpha", positive=True)
    for classes in (1, 2, 3, CLASSES):
        masked = enumerated(alpha, 1, classes).subs(alpha, sp.Rational(9, 10))
        example = enumerated(alpha, 1, CLASSES).subs(alpha, SPARSITIES[0])
        yield {
            ALPHA: Fraction(9, 10), C: classes, ALL_MASKED: Fraction(masked.p, masked.q),
            DENSITY: 1 - Fraction(masked.p, masked.q), PERCENT_DENSE: int(100 * (1 - example)),
        }  # fmt: skip


@statement(
    "prop-average-not-sparse",
    kind="proposition",
    title="Sparse classifiers have a dense average",
    source="this book; against " + 'paper, section 3.1, "directly related with the sparsity of w_k"',
    status="argued",
    claims={
        "zero": sp.Eq(ALL_MASKED, ALPHA**C),
        "dense": chain(DENSITY, sp.Eq, 1 - ALPHA**C),
        "example": sp.Eq(PERCENT_DENSE, 65),
    },
    cases=mask_cases,
)
def average_not_sparse(zero: sp.Eq, dense: tuple[sp.Eq, ...], example: sp.Eq) -> None:
    r"""Let each weight of $c$ classifiers be masked independently with probability $\alpha$, the others being
    drawn from a density. Then each coordinate of $\bar w$, and of every $w_k - \bar w$, is zero only if it is
    masked in all classifiers, $<<zero>>$: a nontrivial combination of the surviving weights is almost surely
    not zero. So these vectors have the density $<<dense>>$. For $c = 10$ and $\alpha = 0.9$ that is, in per
    cent, $<<example>>$, although $w_k$ is $10\,\%$ dense. Sparsity of $w_k - \bar w$, which (6) speaks of,
    does not follow from sparsity of $w_k$.
    """
    assert zero.rhs == 1 - dense[0].rhs
    alpha = sp.Symbol("alpha", positive=True)
    for classes in (
        1,
        2,
        3,
        CLASSES,
    ):  # one coordinate: a combination of c weights vanishes iff all are masked
        assert enumerated(alpha, 1, classes) == mean_zero_probability(alpha, classes)
    c = sp.Symbol("c", positive=True, integer=True)
    coefficients = (sp.Integer(1) - 1 / c, -1 / c)  # of w_k and of another w_e in w_k - wbar
    assert all(sp.solve(sp.Eq(x, 0), c) in ([], [1]) for x in coefficients)  # none vanishes for c >= 2
    density = 1 - mean_zero_probability(Fraction(9, 10), CLASSES)
    assert density == Fraction(6513215599, 10**10)


H, ENTRY_ZERO = sp.Symbol("h", integer=True, positive=True), sp.Symbol(r"\Pr(\text{entry} = 0)", real=True)
MILLE = [sp.Symbol(rf"p({float(a)})", real=True) for a in SPARSITIES]


def product_cases() -> Iterator[Case]:
    """All masks of the weights that an entry depends on, for few hidden units; the three values."""
    alpha = sp.Symbol("alpha", positive=True)
    values = {
        s: round(1000 * product_zero_probability(a, HIDDEN)) for s, a in zip(MILLE, SPARSITIES, strict=True)
    }
    for hidden in (1, 2, 3):
        exact = enumerated(alpha, 2, hidden).subs(alpha, sp.Rational(2, 3))
        yield {ALPHA: Fraction(2, 3), H: hidden, ENTRY_ZERO: Fraction(exact.p, exact.q), **values}


@statement(
    "prop-product-sparsity",
    kind="proposition",
    title="Sparse layers make a sparse product only when they are almost empty",
    source='this book; paper, section 3.1, "higher sparsity of the multipliers encourages"',
    status="argued",
    claims={
        "zero": sp.Eq(ENTRY_ZERO, (1 - (1 - ALPHA) ** 2) ** H),
        "low": sp.Eq(MILLE[0], 49),
        "middle": sp.Eq(MILLE[1], 472),
        "high": sp.Eq(MILLE[2], 970),
    },
    cases=product_cases,
)
def product_sparsity(zero: sp.Eq, **values: sp.Eq) -> None:
    r"""Let the weights of two layers with $h$ hidden units be masked independently with probability $\alpha$,
    the others being drawn from a density. An entry of the product of the layers is zero with probability

    $$<<zero>>,$$

    increasing in $\alpha$ as the paper says. For $h = 300$ that is, in thousandths, $<<low>>$,
    $<<middle>>$ and $<<high>>$.
    """
    assert zero.rhs.subs(H, 2) == product_zero_probability(ALPHA, 2)
    alpha = sp.Symbol("alpha", positive=True)
    for hidden in (1, 2, 3, 4):
        assert sp.expand(product_zero_probability(alpha, hidden) - enumerated(alpha, 2, hidden)) == 0
    odds, h = sp.symbols("k h", positive=True)  # alpha = k / (1 + k) covers (0, 1)
    value = product_zero_probability(alpha, h)
    growth = sp.simplify(sp.diff(value, alpha) / value).subs(alpha, odds / (1 + odds))
    assert sp.simplify(growth).is_positive
