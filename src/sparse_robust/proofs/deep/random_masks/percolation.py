"""Theorems A and A+: the probability that no path is left, by percolation, and bounds for it by recursion."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import pairwise, product

import numpy as np
import sympy as sp
from sympy.logic.boolalg import Boolean
from sympy.logic.inference import satisfiable

from sparse_robust.proofs.deep.written import written
from sparse_robust.proofs.formulas import OUTCOMES, Case, Every, Mean, Pr, operator
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.mask_derivatives import probability
from sparse_robust.theory.mask_enumeration import (
    Masks,
    all_masks,
    cut_off,
    expectation,
    kept_sums,
    mask_polynomial,
)
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
from .notation import ALPHA_OF, DEPTH, ETA, ETA_LAST, ETA_RECURSION, ETA_STAR, WIDTH, XI, J

SHAPES = ((2, 2, 2), (1, 3, 2), (3, 1, 2), (2, 2, 2, 2), (1, 2, 2, 3))
"""Widths n_0, ..., n_{d-1} of the networks whose masks are all enumerated."""
LENET, GRID = (784, 300, 100), (0.5, 0.9, 0.99, 0.999, 0.9999)
"""The hidden layers of LeNet-300-100, and values of alpha."""


def pair_sizes(widths: tuple[int, ...]) -> list[tuple[int, int]]:
    """The shapes of the masks between layers of these widths."""
    return list(pairwise(widths))


eta_of = eta
"""The function, where a claim has its name."""


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


U, BELOW, INPUT, R_BEFORE, K = sp.symbols("u u' i r k", integer=True)
CUT, CUT_MORE = sp.IndexedBase(r"\kappa", real=True), sp.IndexedBase(r"\kappa'", real=True)
MASK, R = sp.IndexedBase("M", real=True), sp.IndexedBase("r", real=True)


def cut_units(widths: tuple[int, ...], masks: Masks) -> dict[tuple[int, int], int]:
    """1 for each unit (layer, unit) to which no path of open weights leads, from all its paths."""
    found = {}
    for layer, n in enumerate(widths):
        for unit in range(1, n + 1):
            routes = product(*map(range, widths[:layer]), [unit - 1])
            found[layer, unit] = int(
                not any(all(masks[j][p[j], p[j + 1]] for j in range(layer)) for p in routes)
            )
    return found


def cut_cases() -> Iterator[Case]:
    """Units of small networks under every third mask, and with one more weight masked."""
    rng = random.Random(77)
    for widths, alphas in (((2, 2), [Fraction(1, 3)]), ((1, 2, 2), [Fraction(1, 2), Fraction(1, 4)])):
        shapes = pair_sizes(widths)
        every = list(all_masks(shapes))
        outcomes = [(probability(m, alphas), {CUT: cut_units(widths, m)}) for m in every]
        for masks in every[::3]:
            fewer = [m.copy() for m in masks]
            layer = rng.randrange(len(shapes))
            fewer[layer][tuple(rng.randrange(n) for n in shapes[layer])] = False
            entries = {(u + 1, v + 1): int(kept) for (u, v), kept in np.ndenumerate(masks[layer])}
            yield {
                OUTCOMES: outcomes,
                J: layer + 1,
                U: rng.randint(1, widths[layer + 1]),
                INPUT: rng.randint(1, widths[0]),
                DEPTH: len(widths),
                WIDTH: dict(enumerate(widths)),
                MASK: {(layer + 1, *place): kept for place, kept in entries.items()},
                CUT: cut_units(widths, masks),
                CUT_MORE: cut_units(widths, tuple(fewer)),
                ETA_STAR: eta_star(widths, alphas),
            }


@statement(
    "def-cut-off",
    kind="definition",
    title="Cut off",
    source="this book",
    status="proved",
    uses=("lem-expectation",),
    claims={
        "inputs": sp.Eq(CUT[0, INPUT], 0),
        "step": sp.Eq(
            CUT[J, U],
            sp.Product(sp.Max(1 - MASK[J, BELOW, U], CUT[J - 1, BELOW]), (BELOW, 1, WIDTH[J - 1])),
        ),
        "eta": sp.Eq(ETA_STAR, Mean(sp.Product(CUT[DEPTH - 1, U], (U, 1, WIDTH[DEPTH - 1])))),
        "monotone": sp.Le(CUT[J, U], CUT_MORE[J, U]),
    },
    cases=lambda: list(cut_cases()),
)
def definition(step: sp.Eq, **_: sp.Basic) -> None:
    r"""Under masks $M_1, \dots, M_{d-1}$ a unit $u$ of layer $j$ is *cut off*, $\kappa_{j,u} = 1$ and else
    $0$, if every path from the inputs to it has a masked weight: $<<inputs>>$ for every input, and

    $$<<step>> :$$

    $u$ is cut off if and only if, for every unit $u'$ of layer $j-1$, the weight from $u'$ to $u$ is masked
    or $u'$ is cut off. The network is cut off if all units of layer $d-1$ are, with the probability

    $$<<eta>> .$$

    Masking one more weight never reconnects a unit, $<<monotone>>$ with $\kappa'$ for the masks after that.
    """
    # Unit by unit below u: "some path is open" grows by "the weight is kept and some path leads to u'"
    path, kept, reached = sp.symbols("path kept reached")
    longer = sp.Or(path, sp.And(kept, reached))
    assert tautology(sp.Equivalent(~longer, still_cut_off(~path, ~kept, ~reached)))
    # as numbers, 1 for true, a factor of the product is "masked, or cut off"
    for masked, below in product((0, 1), repeat=2):
        factor = step.rhs.function.subs({MASK[J, BELOW, U]: 1 - masked, CUT[J - 1, BELOW]: below})
        assert factor == int(masked or below)
    # one more masked weight, here or below: each letter may turn true, and the formula with it
    before, after = sp.symbols("a b c"), sp.symbols("A B C")
    grows = sp.And(*(sp.Implies(p, q) for p, q in zip(before, after, strict=True)))
    assert tautology(sp.Implies(grows & still_cut_off(*before), still_cut_off(*after)))
    for widths in SHAPES[:3]:  # the function that the rest of the book calls
        for masks in all_masks(pair_sizes(widths)):
            units = cut_units(widths, masks)
            last = len(widths) - 1
            assert cut_off(masks) == all(units[last, u + 1] for u in range(widths[last]))


BINOMIAL = operator("Binomial", r"\binom{{{0}}}{{{1}}}", lambda n, k: math.comb(int(n), int(k)), real=True)
STEP = sp.Eq(
    Pr(sp.Eq(R[J], K), sp.Eq(R[J - 1], R_BEFORE)),
    BINOMIAL(WIDTH[J], K) * (1 - ALPHA_OF[J] ** R_BEFORE) ** K * (ALPHA_OF[J] ** R_BEFORE) ** (WIDTH[J] - K),
)
EXAMPLE_STAR = sp.Symbol(r"\eta^*_{2,2,2,2}(\tfrac12)", real=True)
EXAMPLE_ETA = sp.Symbol(r"\eta_{2,2,2,2}(\tfrac12)", real=True)


def connected(widths: tuple[int, ...], masks: Masks) -> dict[int, int]:
    """r_j, the number of units of each layer that are not cut off."""
    units = cut_units(widths, masks)
    return {j: sum(not units[j, u] for u in range(1, n + 1)) for j, n in enumerate(widths)}


@cache
def mask_law(widths: tuple[int, ...], *alphas: Fraction) -> Case:
    """The distribution of the r_j over all masks of a small network, with the recursion beside it."""
    masks = all_masks(pair_sizes(widths))
    return {
        OUTCOMES: [(probability(m, alphas), {R: connected(widths, m)}) for m in masks],
        DEPTH: len(widths),
        WIDTH: dict(enumerate(widths)),
        ALPHA_OF: dict(enumerate(alphas, 1)),
        XI: dict(enumerate(xi(widths, alphas))),
        ETA: eta(widths, alphas),
        ETA_STAR: eta_star(widths, alphas),
    }


def mask_laws() -> list[Case]:
    """Small networks, a single path and an unmasked layer among them."""
    half, third = Fraction(1, 2), Fraction(1, 3)
    return [
        mask_law((1, 2, 2), half, third),
        mask_law((2, 2, 1), Fraction(1, 4), 2 * third),
        mask_law((1, 1, 1), half, half),
        mask_law((1, 1, 1), 0 * half, half),
    ]


def enumerated_star() -> Fraction:
    """eta* of the widths 2, 2, 2, 2 at one half, by counting masks."""
    shapes = pair_sizes((2, 2, 2, 2))
    return Fraction(expectation(shapes, kept_sums(shapes, lambda m: Fraction(cut_off(m))), HALVES))


HALVES = [Fraction(1, 2)] * 3


def percolation_cases() -> list[Case]:
    """Every possible step from r_{j-1} to r_j."""
    value = enumerated_star()
    cases: list[Case] = []
    for law in mask_laws():
        for j in range(1, law[DEPTH]):
            for before in {each[R][j - 1] for mass, each in law[OUTCOMES] if mass}:
                for k in range(law[WIDTH][j] + 1):
                    cases.append({**law, J: j, R_BEFORE: before, K: k, EXAMPLE_STAR: value})
    return cases


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
    claims={
        "start": sp.Eq(R[0], WIDTH[0]),
        "step": STEP,
        "eta": sp.Eq(ETA_STAR, Pr(sp.Eq(R[DEPTH - 1], 0))),
        "value": sp.Eq(EXAMPLE_STAR, sp.Rational(1297, 4096)),
    },
    cases=lambda: [{R: {0: case[WIDTH][0]}, **case} for case in percolation_cases()],
)
def percolation(start: sp.Eq, step: sp.Eq, eta: sp.Eq, value: sp.Eq) -> None:
    r"""Let $r_j$ be the number of units of layer $j$ that are not cut off. Then $<<start>>$, and given
    $r_{j-1}$ the number $r_j$ is binomial, $\mathrm{Bin}(n_j, 1 - \alpha_j^{r_{j-1}})$:

    $$<<step>> ,$$

    a Markov chain, with $<<eta>>$. For widths $2, 2, 2, 2$ and $\alpha = \tfrac12$, $<<value>>$.
    """
    alpha, s = sp.symbols("alpha s", positive=True)
    i, alive, n = (sp.Symbol(name, integer=True, positive=True) for name in ("i", "r", "n"))
    # a unit is cut off iff the weights from all r connected units are masked; the masks are independent ...
    assert sp.Product(alpha, (i, 1, alive)).doit() == unit_cut_off(alpha, alive)
    # ... also across the units of a layer, so that the generating functions multiply
    one = generating(alpha, alive, 1, s)
    assert sp.Product(one, (i, 1, n)).doit() == generating(alpha, alive, n, s)
    # and what is printed has this generating function: the binomial theorem, for layers of up to six units
    for size in range(1, 7):
        terms = [
            step.rhs.subs({WIDTH[J]: size, K: k, ALPHA_OF[J]: alpha, R_BEFORE: alive}).replace(
                BINOMIAL, sp.binomial
            )
            for k in range(size + 1)
        ]
        total = sum(term * s**k for k, term in enumerate(terms))
        assert sp.expand(total - generating(alpha, alive, size, s)) == 0
    for widths in SHAPES:
        alphas = list(sp.symbols(f"a1:{len(widths)}"))
        assert cut_off_polynomial(widths, alphas) == sp.Poly(eta_star(widths, alphas), *alphas, domain="QQ")
    assert eta_star((2, 2, 2, 2), HALVES) == Fraction(value.rhs.p, value.rhs.q)


def two_layer_cases() -> list[Case]:
    """Networks with two hidden layers: eta* by enumeration, eta by its recursion."""
    cases: list[Case] = []
    for widths, alphas in product(SHAPES[:3], [(Fraction(1, 2), Fraction(1, 3)), (Fraction(1, 4),) * 2]):
        shapes = pair_sizes(widths)
        star = expectation(shapes, kept_sums(shapes, lambda m: Fraction(cut_off(m))), list(alphas))
        facts = {ETA_STAR: star, ETA: eta(widths, list(alphas))}
        cases.append({**facts, WIDTH: dict(enumerate(widths)), ALPHA_OF: dict(enumerate(alphas, 1))})
    return cases


@statement(
    "cor-two-hidden-layers",
    kind="corollary",
    title="Two hidden layers in closed form",
    source="this book",
    status="proved",
    uses=("prop-percolation",),
    claims={
        "star": sp.Eq(
            ETA_STAR,
            (ALPHA_OF[1] ** WIDTH[0] + (1 - ALPHA_OF[1] ** WIDTH[0]) * ALPHA_OF[2] ** WIDTH[2]) ** WIDTH[1],
        ),
        "eta": sp.Eq(
            ETA, (ALPHA_OF[2] + (1 - ALPHA_OF[2]) * ALPHA_OF[1] ** WIDTH[0]) ** (WIDTH[1] * WIDTH[2])
        ),
    },
    cases=two_layer_cases,
)
def two_hidden_layers(star: sp.Eq, eta: sp.Eq) -> None:
    r"""For $d - 1 = 2$,

    $$<<star>>,$$

    while the recursion of {prf:ref}`thm-a-recursion` gives $<<eta>>$.
    """
    a, b = sp.symbols("a b", positive=True)
    n0, n1, n2, r = (sp.Symbol(name, integer=True, positive=True) for name in ("n0", "n1", "n2", "r"))
    plain = {ALPHA_OF[1]: a, ALPHA_OF[2]: b, WIDTH[0]: n0, WIDTH[1]: n1, WIDTH[2]: n2}
    closed, recursive = star.rhs.subs(plain), eta.rhs.subs(plain)
    # the last layer is cut off with probability (b^r)^n2 = s^r at s = b^n2, and E s^r is generating
    assert sp.simplify(unit_cut_off(b, r) ** n2 - (b**n2) ** r) == 0
    assert sp.simplify(generating(a, n0, n1, b**n2) - closed) == 0
    # xi_1 = a^n0, xi_2 = (b + (1 - b) xi_1)^n1, and all n2 units of the last layer
    assert sp.simplify(recursion(b, recursion(a, sp.Integer(0), n0), n1) ** n2 - recursive) == 0


S = sp.Symbol("s", real=True)
MOMENTS = sp.Ge(Mean(S ** R[J]), (XI[J] + (1 - XI[J]) * S) ** WIDTH[J])


def recursion_cases() -> list[Case]:
    """Every layer of the small networks, at several s; r_0 = n_0 is a fixed number."""
    values = {EXAMPLE_STAR: enumerated_star(), EXAMPLE_ETA: eta((2, 2, 2, 2), HALVES)}
    return [
        {**law, J: j, S: s, **values}
        for law in (*mask_laws(), mask_law((1, 2, 2, 1), *HALVES))
        for j in range(1, law[DEPTH])
        for s in (Fraction(0), Fraction(1, 3), Fraction(1))
    ]


def above_one() -> Case:
    """s = 2 behind three layers, where the recursion is below the truth."""
    return {**recursion_cases()[-1], S: Fraction(2)}


def below_zero() -> Case:
    """s = -5 in a layer of three units: third powers are not convex."""
    return {
        **recursion_cases()[0],
        **mask_law((1, 2, 3), Fraction(1, 2), Fraction(1, 3)),
        J: 2,
        S: Fraction(-5),
    }


@statement(
    "prop-recursion-below-percolation",
    kind="proposition",
    title="The recursion stays below the truth",
    source="this book; paper, equation (14), with deactivation replaced by being cut off",
    status="kernel proved, glue argued",
    uses=("lem-expectation", "prop-percolation", "lem-jensen-power"),
    hypotheses={"low": sp.Ge(S, 0), "high": sp.Le(S, 1)},
    without={"low": below_zero, "high": above_one},
    claims={
        "first": sp.Eq(XI[0], 0),
        "recursion": ETA_RECURSION,
        "last": ETA_LAST,
        "moments": MOMENTS,
        "below": sp.Le(ETA, ETA_STAR),
        "star": sp.Eq(EXAMPLE_STAR, sp.Rational(1297, 4096)),
        "eta": sp.Eq(EXAMPLE_ETA, sp.Rational(62742241, 268435456)),
    },
    cases=recursion_cases,
)
def recursion_below(moments: sp.Ge, star: sp.Eq, eta: sp.Eq, **printed: sp.Eq) -> None:
    r"""Let $<<first>>$, $<<recursion>>$ and $<<last>>$. Then, for all $j$ and all $s$ with $<<low>>$ and
    $<<high>>$,

    $$<<moments>>,$$

    and so $<<below>>$. For widths $2, 2, 2, 2$ and $\alpha = \tfrac12$, $<<eta>>$ and $<<star>>$.
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
    assumed = moments.rhs.subs({XI[J]: below, S: a, WIDTH[J]: n})
    assert sp.simplify(assumed - recursion(a, below, n)) == 0
    plain = {ALPHA_OF[J]: a, XI[J - 1]: below, WIDTH[J - 1]: n}
    assert sp.simplify(printed["recursion"].rhs.subs(plain) - recursion(a, below, n)) == 0
    # at s = 0 and j = d - 1 this is eta <= eta*
    assert moments.rhs.subs({S: 0, XI[J]: XI[DEPTH - 1], WIDTH[J]: WIDTH[DEPTH - 1]}) == printed["last"].rhs
    assert eta.rhs < star.rhs
    rng = random.Random(73)
    for widths in SHAPES:
        for _ in range(5):
            alphas = [Fraction(rng.randint(0, 10), 10) for _ in widths[1:]]
            assert eta_of(widths, alphas) <= eta_star(widths, alphas)
            levels = [Fraction(0)]
            for alpha, width in zip(alphas, widths, strict=False):
                levels.append(recursion(alpha, levels[-1], width))
            assert levels == xi(widths, alphas)


SPARSER = sp.IndexedBase(r"\alpha'", real=True)
ETA_SPARSER, STAR_SPARSER = (sp.Symbol(rf"{name}(\alpha')", real=True) for name in (r"\eta", r"\eta^*"))
ETA_FULL, STAR_FULL = (sp.Symbol(rf"{name}|_{{\alpha_j = 1}}", real=True) for name in (r"\eta", r"\eta^*"))
ETA_NONE, STAR_NONE = (sp.Symbol(rf"{name}|_{{\alpha = 0}}", real=True) for name in (r"\eta", r"\eta^*"))


def sparser_case(widths: tuple[int, ...], alphas: list[Fraction], more: list[Fraction]) -> Case:
    """Both probabilities at two choices of sparsities, with one of the first made 1, and with none."""
    layers = range(1, len(widths))
    ones, none = [*alphas[:-1], Fraction(1)], [Fraction(0)] * len(alphas)
    return {
        J: layers,
        ALPHA_OF: dict(zip(layers, alphas, strict=True)),
        SPARSER: dict(zip(layers, more, strict=True)),
        ETA: eta_of(widths, alphas),
        ETA_STAR: eta_star(widths, alphas),
        ETA_SPARSER: eta_of(widths, more),
        STAR_SPARSER: eta_star(widths, more),
        ETA_FULL: eta_of(widths, ones),
        STAR_FULL: eta_star(widths, ones),
        ETA_NONE: eta_of(widths, none),
        STAR_NONE: eta_star(widths, none),
    }


def sparser_cases() -> list[Case]:
    """Sparsities that grow in one layer or in all, or stay."""
    rng, cases = random.Random(76), []
    for widths in SHAPES:
        for _ in range(4):
            alphas = [Fraction(rng.randint(1, 9), 10) for _ in widths[1:]]
            more = [a + (1 - a) * Fraction(rng.randint(0, 2), 2) for a in alphas]
            cases += [sparser_case(widths, alphas, more), sparser_case(widths, alphas, alphas)]
    return cases


def one_layer_denser() -> Case:
    """The second layer has fewer masked weights than before."""
    half, tenth = Fraction(1, 2), Fraction(1, 10)
    return sparser_case((2, 2, 2), [half, half], [half, tenth])


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
    hypotheses={"sparser": Every(sp.Le(ALPHA_OF[J], SPARSER[J]), J)},
    without={"sparser": one_layer_denser},
    claims={
        "eta": sp.Le(ETA, ETA_SPARSER),
        "star": sp.Le(ETA_STAR, STAR_SPARSER),
        "eta_full": sp.Eq(ETA_FULL, 1),
        "star_full": sp.Eq(STAR_FULL, 1),
        "eta_none": sp.Eq(ETA_NONE, 0),
        "star_none": sp.Eq(STAR_NONE, 0),
    },
    cases=sparser_cases,
)
def monotone(**_: sp.Basic) -> None:
    r"""If $<<sparser>>$, then

    $$<<eta>>, \qquad <<star>>,$$

    and $\eta$ is strictly increasing in every $\alpha_j$ as long as all are in $(0, 1)$. Where an $\alpha_j$
    is $1$, $<<eta_full>>$ and $<<star_full>>$; where all are $0$, $<<eta_none>>$ and $<<star_none>>$.
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


PRINTED_ETA = ("1e-9031", "1e-1373", "1.3e-131", "8.2e-8", "0.7975")
PRINTED_STAR = ("1e-9031", "1e-1373", "1.4e-131", "1.2e-7", "0.7984")
AT = {a: [sp.Symbol(rf"{name}({a})", real=True) for name in (r"\eta", r"\eta^*")] for a in GRID}
WEIGHTS_LEFT = sp.symbols(r"N m_{1\%} m_{50\%}", real=True)


def scientific(text: str) -> sp.Expr:
    """A number as 8.2e-8, shown with a power of ten."""
    digits, _, exponent = text.partition("e")
    power = rf"10^{{{exponent}}}"
    shown = digits if not exponent else power if digits == "1" else rf"{digits} \cdot {power}"
    return written(shown, Fraction(text))


def lenet_case() -> Case:
    """Both probabilities on the grid, rounded as they are printed, and the weights left at two losses."""
    case: dict[sp.Symbol, object] = {WEIGHTS_LEFT[0]: hidden_weights(LENET)}
    for alpha, symbols in AT.items():
        for symbol, log in zip(symbols, (log_eta, log_eta_star), strict=True):
            shown = format_probability(log(LENET, [alpha, alpha]))
            case[symbol] = Fraction(shown.replace("10^", "1e"))
    for symbol, loss in zip(WEIGHTS_LEFT[1:], (0.01, 0.5), strict=True):
        case[symbol] = round(hidden_weights(LENET) * (1 - sparsity_for(LENET, loss)))
    return case


@statement(
    "prop-eta-lenet",
    kind="proposition",
    title="The printed bound says nothing until the network is almost gone",
    source="this book",
    status="checked numerically",
    uses=("prop-recursion-below-percolation",),
    claims={
        "weights": sp.Eq(WEIGHTS_LEFT[0], 265_200),
        **{
            f"{name}_{i}": sp.Eq(symbols[kind], scientific(printed[i]))
            for kind, (name, printed) in enumerate((("eta", PRINTED_ETA), ("star", PRINTED_STAR)))
            for i, symbols in enumerate(AT.values())
        },
        "one_percent": sp.Eq(WEIGHTS_LEFT[1], 129),
        "half": sp.Eq(WEIGHTS_LEFT[2], 47),
    },
    cases=lambda: [lenet_case()],
)
def eta_lenet(**_: sp.Basic) -> None:
    r"""For the $784 \to 300 \to 100$ hidden layers of LeNet-300-100, with $<<weights>>$ weights and one
    $\alpha$ for both, rounded: $<<eta_0>>$, $<<eta_1>>$, $<<eta_2>>$, $<<eta_3>>$ and $<<eta_4>>$. The true
    values are $<<star_0>>$, $<<star_1>>$, $<<star_2>>$, $<<star_3>>$ and $<<star_4>>$. The bound of
    Theorem 3.3 falls by $1\,\%$ only where so few weights are left on average as $<<one_percent>>$, and by
    half only at $<<half>>$.
    """
