"""Theorems A and A+: the probability that no path is left, by percolation, and bounds for it by recursion."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise, product

import sympy as sp
from sympy.logic.boolalg import Boolean
from sympy.logic.inference import satisfiable

from sparse_robust.proofs.statement import statement
from sparse_robust.theory.mask_enumeration import all_masks, cut_off, kept_sums, mask_polynomial
from sparse_robust.theory.masks import (
    eta,
    eta_star,
    format_probability,
    hidden_weights,
    log_eta,
    log_eta_star,
    sparsity_for,
    xi,
)

from .inequalities import ODDS

SHAPES = ((2, 2, 2), (1, 3, 2), (3, 1, 2), (2, 2, 2, 2), (1, 2, 2, 3))
"""Widths n_0, ..., n_{d-1} of the networks whose masks are all enumerated."""
LENET, GRID = (784, 300, 100), (0.5, 0.9, 0.99, 0.999, 0.9999)
"""The hidden layers of LeNet-300-100, and values of alpha."""


def pair_sizes(widths: tuple[int, ...]) -> list[tuple[int, int]]:
    """The shapes of the masks between layers of these widths."""
    return list(pairwise(widths))


def cut_off_polynomial(widths: tuple[int, ...], alphas: list[sp.Symbol]) -> sp.Poly:
    """Pr(the last layer is cut off), summed over all masks."""
    shapes = pair_sizes(widths)
    return mask_polynomial(shapes, kept_sums(shapes, lambda m: Fraction(cut_off(m))), alphas)


def unit_cut_off(alpha: sp.Expr, alive: sp.Expr) -> sp.Expr:
    """Pr(a unit is cut off | ``alive`` units below are not): all its weights from these are masked."""
    return alpha**alive


def recursion(alpha: sp.Expr, below: sp.Expr, n: sp.Expr) -> sp.Expr:
    """One step of Theorem A, xi_j from xi_{j-1}."""
    return (alpha + (1 - alpha) * below) ** n


def still_cut_off(others: Boolean, masked: Boolean, below: Boolean) -> Boolean:
    """Cut off from all units below: from the others, and from one more, masked or cut off itself."""
    return sp.And(others, sp.Or(masked, below))


def mean_of_event(alpha: sp.Expr, masked: sp.Expr, kept: sp.Expr) -> sp.Expr:
    """The probability of an event from those given that one entry of the masks is 0, or 1."""
    return alpha * masked + (1 - alpha) * kept


def tautology(formula: Boolean) -> bool:
    """Whether a formula of propositional logic is true whatever its letters stand for."""
    return satisfiable(sp.Not(formula)) is False


def generating(alpha: sp.Expr, alive: sp.Expr, n: sp.Expr, s: sp.Expr) -> sp.Expr:
    """E(s^r_j | r_{j-1} = alive), r_j ~ Bin(n, 1 - alpha^alive)."""
    cut = unit_cut_off(alpha, alive)
    return (cut + (1 - cut) * s) ** n


@statement(
    "def-cut-off",
    kind="definition",
    title="Cut off",
    source="this book",
    status="proved",
)
def definition() -> None:
    r"""Under masks $M_1, \dots, M_{d-1}$ a unit $u$ of layer $j$ is *cut off* if every path from the inputs
    to it has a masked weight: no input is cut off, and $u$ is if and only if, for every unit $u'$ of layer
    $j-1$, the weight from $u'$ to $u$ is masked or $u'$ is cut off. The network is cut off if all units of
    layer $d-1$ are; $\eta^*$ is the probability of that. Masking one more weight never reconnects a unit.
    """
    # Unit by unit below u: "some path is open" grows by "the weight is kept and some path leads to u'"
    path, kept, reached = sp.symbols("path kept reached")
    longer = sp.Or(path, sp.And(kept, reached))
    assert tautology(sp.Equivalent(~longer, still_cut_off(~path, ~kept, ~reached)))
    # one more masked weight, here or below: each letter may turn true, and the formula with it
    before, after = sp.symbols("a b c"), sp.symbols("A B C")
    grows = sp.And(*(sp.Implies(p, q) for p, q in zip(before, after, strict=True)))
    assert tautology(sp.Implies(grows & still_cut_off(*before), still_cut_off(*after)))
    for widths in SHAPES[:3]:
        shapes = pair_sizes(widths)
        for masks in all_masks(shapes):
            by_paths = not any(
                all(m[path[j], path[j + 1]] for j, m in enumerate(masks))
                for path in product(*map(range, widths))
            )
            assert cut_off(masks) == by_paths
            for j, mask in enumerate(masks):
                for place in product(*map(range, mask.shape)):
                    fewer = [m.copy() for m in masks]
                    fewer[j][place] = False
                    assert cut_off(tuple(fewer)) >= cut_off(masks)


@statement(
    "prop-percolation",
    kind="proposition",
    title="Percolation: the distribution of the number of connected units",
    source="this book",
    status="kernel proved, glue argued",
    uses=(
        "def-cut-off",
        "lem-expectation",
    ),
)
def percolation() -> None:
    r"""Let $r_j$ be the number of units of layer $j$ that are not cut off. Then $r_0 = n_0$,

    $$r_j \mid r_{j-1} \sim \mathrm{Bin}\bigl(n_j,\, 1 - \alpha_j^{r_{j-1}}\bigr), \qquad
      \eta^* = \Pr(r_{d-1} = 0) ,$$

    a Markov chain. For widths $2, 2, 2, 2$ and $\alpha = 1/2$, $\eta^* = 1297/4096$.
    """
    alpha, s = sp.symbols("alpha s", positive=True)
    i, alive, n = (sp.Symbol(name, integer=True, positive=True) for name in ("i", "r", "n"))
    # a unit is cut off iff the weights from all r connected units are masked; the masks are independent ...
    assert sp.Product(alpha, (i, 1, alive)).doit() == unit_cut_off(alpha, alive)
    # ... also across the units of a layer, so that the generating functions multiply
    one = generating(alpha, alive, 1, s)
    assert sp.Product(one, (i, 1, n)).doit() == generating(alpha, alive, n, s)
    for widths in SHAPES:
        alphas = list(sp.symbols(f"a1:{len(widths)}"))
        assert cut_off_polynomial(widths, alphas) == sp.Poly(eta_star(widths, alphas), *alphas, domain="QQ")
    assert eta_star((2, 2, 2, 2), [Fraction(1, 2)] * 3) == Fraction(1297, 4096)


@statement(
    "cor-two-hidden-layers",
    kind="corollary",
    title="Two hidden layers in closed form",
    source="this book",
    status="proved",
    uses=("prop-percolation",),
)
def two_hidden_layers() -> None:
    r"""For $d - 1 = 2$,
    $\eta^* = \bigl(\alpha_1^{n_0} + (1 - \alpha_1^{n_0})\, \alpha_2^{n_2}\bigr)^{n_1}$, while the recursion
    of {prf:ref}`thm-a-recursion` gives
    $\eta = \bigl(\alpha_2 + (1 - \alpha_2)\, \alpha_1^{n_0}\bigr)^{n_1 n_2}$.
    """
    a, b = sp.symbols("a b", positive=True)
    n0, n1, n2, r = (sp.Symbol(name, integer=True, positive=True) for name in ("n0", "n1", "n2", "r"))
    closed = (a**n0 + (1 - a**n0) * b**n2) ** n1
    # the last layer is cut off with probability (b^r)^n2 = s^r at s = b^n2, and E s^r is generating
    assert sp.simplify(unit_cut_off(b, r) ** n2 - (b**n2) ** r) == 0
    assert sp.simplify(generating(a, n0, n1, b**n2) - closed) == 0
    for widths in SHAPES[:3]:
        sizes = dict(zip((n0, n1, n2), widths, strict=True))
        assert sp.expand(eta_star(widths, [a, b]) - closed.subs(sizes)) == 0
        recursive = ((b + (1 - b) * a**n0) ** (n1 * n2)).subs(sizes)
        assert sp.expand(eta(widths, [a, b]) - recursive) == 0


@statement(
    "prop-recursion-below-percolation",
    kind="proposition",
    title="The recursion stays below the truth",
    source="this book; paper, equation (14), with deactivation replaced by being cut off",
    status="kernel proved, glue argued",
    uses=("lem-expectation", "prop-percolation", "lem-jensen-power"),
)
def recursion_below() -> None:
    r"""Let $\xi_0 = 0$, $\xi_j = (\alpha_j + (1 - \alpha_j)\, \xi_{j-1})^{n_{j-1}}$ and
    $\eta = \xi_{d-1}^{n_{d-1}}$. Then $\mathbb{E}\bigl(s^{r_j}\bigr) \ge (\xi_j + (1 - \xi_j)\, s)^{n_j}$ for
    all $j$ and $0 \le s \le 1$, and so $\eta \le \eta^*$. For widths $2, 2, 2, 2$ and $\alpha = 1/2$,
    $\eta < 0.234 < \eta^*$.
    """
    a, below, t, s = sp.symbols("a xi t s", positive=True)
    n, r = (sp.Symbol(name, integer=True, positive=True) for name in ("n", "r"))
    # Claim: E s^r_j >= (xi_j + (1 - xi_j) s)^n_j for 0 <= s <= 1. At j = 0 both are s^n_0, as xi_0 = 0.
    # Given r_{j-1}: the n-th power of a function that is affine in t = alpha^r_{j-1} and, for s <= 1, grows
    cut = unit_cut_off(a, r)
    affine = t + (1 - t) * s
    assert sp.simplify(generating(a, r, n, s) - (affine**n).subs(t, cut)) == 0
    assert sp.simplify(sp.diff(affine, t) - (1 - s)) == 0
    # so by Jensen E affine^n >= (affine at E t)^n, and E t = E alpha^r_{j-1} >= xi_j by induction, s = alpha
    assert sp.simplify((below + (1 - below) * a) ** n - recursion(a, below, n)) == 0
    # at s = 0 and j = d - 1 this is eta <= eta*
    rng = random.Random(73)
    for widths in SHAPES:
        for _ in range(5):
            alphas = [Fraction(rng.randint(0, 10), 10) for _ in widths[1:]]
            assert eta(widths, alphas) <= eta_star(widths, alphas)
            levels = [Fraction(0)]
            for alpha, width in zip(alphas, widths, strict=False):
                levels.append(recursion(alpha, levels[-1], width))
            assert levels == xi(widths, alphas)
    half = [Fraction(1, 2)] * 3
    assert eta((2, 2, 2, 2), half) < Fraction(234, 1000) < eta_star((2, 2, 2, 2), half)


@statement(
    "prop-eta-monotone",
    kind="proposition",
    title=r"Both $\eta$ and $\eta^*$ grow with every $\alpha_j$",
    source='this book; paper, Theorem 3.3, "function eta is monotonically increasing"',
    status="kernel proved, glue argued",
    uses=(
        "lem-expectation",
        "def-cut-off",
        "prop-percolation",
    ),
)
def monotone() -> None:
    r"""$\eta$ and $\eta^*$ are nondecreasing in every $\alpha_j \in [0, 1]$, $\eta$ strictly increasing for
    $0 < \alpha_j < 1$. Both are $1$ where an $\alpha_j$ is $1$, and $0$ where all $\alpha_j$ are $0$.
    """
    a = ODDS / (1 + ODDS)
    below = sp.Symbol("m", positive=True) / (1 + sp.Symbol("m", positive=True))  # 0 < xi < 1
    x, y, n = sp.Symbol("x"), sp.Symbol("y"), sp.Symbol("n", positive=True)
    step = recursion(x, y, n)
    for variable in (x, y):  # each step grows in alpha_j and in xi_{j-1}, hence in every alpha before
        slope = sp.simplify(sp.diff(step, variable).subs({x: a, y: below}))
        assert slope.is_positive
    # eta*, one entry of the masks after the other: masking it can only bring "cut off" about (def-cut-off)
    alpha, kept = sp.symbols("alpha kept")
    more = sp.Symbol("more", nonnegative=True)
    assert sp.diff(mean_of_event(alpha, kept + more, kept), alpha).expand().is_nonnegative
    # alpha_j = 1 cuts all off, and what is cut off stays so; alpha_j = 0 cuts nothing off that has an input
    r, level = sp.Symbol("r", integer=True, positive=True), sp.Symbol("level", nonnegative=True)
    assert recursion(sp.Integer(1), level, n) == recursion(a, sp.Integer(1), n) == 1
    assert unit_cut_off(sp.Integer(1), r) == unit_cut_off(a, sp.Integer(0)) == 1
    assert recursion(sp.Integer(0), sp.Integer(0), n) == unit_cut_off(sp.Integer(0), r) == 0
    for widths in SHAPES:
        layers = len(widths) - 1
        for value in (eta, eta_star):
            assert value(widths, [Fraction(0)] * layers) == 0
            for j in range(layers):
                some = [Fraction(1, 3)] * layers
                assert value(widths, [*some[:j], Fraction(1), *some[j + 1 :]]) == 1
        grid = [Fraction(i, 6) for i in range(1, 6)]
        for j in range(layers):
            others = [Fraction(2, 5)] * layers
            for value in (eta, eta_star):
                run = [value(widths, [*others[:j], g, *others[j + 1 :]]) for g in grid]
                assert all(p < q for p, q in pairwise(run))


@statement(
    "prop-eta-lenet",
    kind="proposition",
    title="The printed bound says nothing until the network is almost gone",
    source="this book",
    status="checked numerically",
    uses=("prop-recursion-below-percolation",),
)
def eta_lenet() -> None:
    r"""For the $784 \to 300 \to 100$ hidden layers of LeNet-300-100, which have $265{,}200$ weights, and one
    $\alpha$ for both, $\eta$ is $10^{-9031}$, $10^{-1373}$, $1.3 \cdot 10^{-131}$, $8.2 \cdot 10^{-8}$ and
    $0.7975$ at $\alpha = 0.5$, $0.9$, $0.99$, $0.999$ and $0.9999$; the true $\eta^*$ is $10^{-9031}$,
    $10^{-1373}$, $1.4 \cdot 10^{-131}$, $1.2 \cdot 10^{-7}$ and $0.7984$. The bound of Theorem 3.3 falls by
    $1\,\%$ only where $129$ weights are left on average, and by half only where $47$ are.
    """
    rows = [tuple(format_probability(f(LENET, [a, a])) for f in (log_eta, log_eta_star)) for a in GRID]
    assert hidden_weights(LENET) == 265_200
    assert [row[0] for row in rows] == ["10^-9031", "10^-1373", "1.3e-131", "8.2e-8", "0.7975"]
    assert [row[1] for row in rows] == ["10^-9031", "10^-1373", "1.4e-131", "1.2e-7", "0.7984"]
    left = [hidden_weights(LENET) * (1 - sparsity_for(LENET, p)) for p in (0.01, 0.5)]
    assert [round(value) for value in left] == [129, 47]
