"""What the paper says after Theorem 3.2 about biases and sparsity, put to the test."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import sympy as sp

from sparse_robust.proofs.statement import statement
from sparse_robust.theory.laws import FiniteLaw, Multiclass, dot, vector

from .evaluation import class_terms, expected_radius, printed, quotient

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


@statement(
    "err-bias-classes",
    kind="erratum",
    title="With several classes the biases do not cancel",
    source='paper, section 3.1, "all our theoretical results in the sequel apply directly to linear cases"',
    status="checked exactly on an example",
    uses=("prop-distance-classes",),
)
def bias_classes() -> None:
    r"""In Theorem 3.2 the numerators need $b_k - \bar b$ added ({prf:ref}`thm-3-2-plus`). On the line let
    $c = 3$, $w = (-1, 0, 2)$, $b = (3, 2, -3)$ and mass $1/3$ each on class 1 at $0$, class 2 at $2$ and
    class 3 at $4$. All are classified correctly and $r_2 = 1$. The left half of (6) without biases is
    $2/3$, and with $[w_k; b_k]$ and $[x; 1]$ in place of $w_k$ and $x$, as the paper proposes, it is less
    than $0.7$: both "bounds" are false. With $b_k - \bar b$ added to the numerators the bound is $37/20$.
    """
    model = Multiclass(tuple(vector([w]) for w in (-1, 0, 2)), vector((3, 2, -3)))
    law = FiniteLaw.of([(1, k, [x]) for k, x in enumerate((0, 2, 4))])
    assert law.probability(model.correct) == 1
    r_2 = expected_radius(law, model, "2")
    assert r_2 == (1, 1)
    bare = lifted = Fraction(0)
    for k, mass, given in class_terms(law, model):
        v, beta = model.centred(k)
        score = dot(v, given.mean())
        bare += mass * quotient(score, v, "2")[1]
        lifted += mass * quotient(score + beta, (*v, beta), "2")[1]
    assert bare == Fraction(2, 3) < r_2[0]
    assert lifted < Fraction(7, 10) < r_2[0]
    assert printed(law, model, "2") == (Fraction(37, 20), Fraction(37, 20))


@statement(
    "prop-average-not-sparse",
    kind="proposition",
    title="Sparse classifiers have a dense average",
    source="this book; against " + 'paper, section 3.1, "directly related with the sparsity of w_k"',
    status="argued",
)
def average_not_sparse() -> None:
    r"""Let each weight of $c$ classifiers be masked independently with probability $\alpha$, the others being
    drawn from a density. Then each coordinate of $\bar w$, and of every $w_k - \bar w$, is zero with
    probability $\alpha^c$ only: a nontrivial combination of the surviving weights is almost surely not zero.
    For $c = 10$ and $\alpha = 0.9$, $w_k - \bar w$ is $65\,\%$ dense although $w_k$ is $10\,\%$ dense.
    Sparsity of $w_k - \bar w$, which (6) speaks of, does not follow from sparsity of $w_k$.
    """
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


@statement(
    "prop-product-sparsity",
    kind="proposition",
    title="Sparse layers make a sparse product only when they are almost empty",
    source='this book; paper, section 3.1, "higher sparsity of the multipliers encourages"',
    status="argued",
)
def product_sparsity() -> None:
    r"""Let the weights of two layers with $h$ hidden units be masked independently with probability $\alpha$,
    the others being drawn from a density. An entry of the product of the layers is zero with probability
    $(1 - (1 - \alpha)^2)^h$, increasing in $\alpha$ as the paper says. For $h = 300$ that is $0.049$, $0.472$
    and $0.970$ at $\alpha = 0.9$, $0.95$ and $0.99$.
    """
    alpha = sp.Symbol("alpha", positive=True)
    for hidden in (1, 2, 3, 4):
        assert sp.expand(product_zero_probability(alpha, hidden) - enumerated(alpha, 2, hidden)) == 0
    odds, h = sp.symbols("k h", positive=True)  # alpha = k / (1 + k) covers (0, 1)
    value = product_zero_probability(alpha, h)
    growth = sp.simplify(sp.diff(value, alpha) / value).subs(alpha, odds / (1 + odds))
    assert sp.simplify(growth).is_positive
    values = [f"{float(product_zero_probability(a, HIDDEN)):.3f}" for a in SPARSITIES]
    assert values == ["0.049", "0.472", "0.970"]
