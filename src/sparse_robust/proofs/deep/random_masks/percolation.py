"""Theorems A and A+: the probability that no path is left, by percolation."""

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

from sparse_robust.proofs.formulas import OUTCOMES, Case, Mean, Pr, operator
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
    xi,
)

from .notation import ALPHA_OF, DEPTH, ETA, ETA_STAR, WIDTH, XI, J

SHAPES = ((2, 2, 2), (1, 3, 2), (3, 1, 2), (2, 2, 2, 2), (1, 2, 2, 3))
"""Widths n_0, ..., n_{d-1} of the networks whose masks are all enumerated."""


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
