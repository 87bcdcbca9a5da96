"""Spectral norms under masks, both norms at once, and Theorem E: what magnitude pruning keeps."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import sympy as sp

from sparse_robust.proofs.deep.written import ALPHA, NET, SIGMA, at_points, matrix
from sparse_robust.proofs.formulas import Case, chain, evaluate, operator
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.lipschitz import lipschitz_power
from sparse_robust.theory.mask_bounds import (
    energy_bound,
    gaussian_energy,
    kept_energy,
    norm_product_power,
)
from sparse_robust.theory.mask_enumeration import expectation, kept_sums
from sparse_robust.theory.networks import Array, ReluNet, exact_net
from sparse_robust.theory.regions import regions

from .cases import random_cases, random_net, tight_cases
from .notation import CONSTANT, DEPTH, ENTRIES, FROBENIUS, LENGTH, WEIGHT, WIDTH, J

PAIR = exact_net([[[3], [1]]], [1])
"""h(x) = s(3 x_1 + x_2)."""
EVEN = exact_net([[[1], [1]]], [1])
"""h(x) = s(x_1 + x_2)."""


def spectral_squared(w: sp.Matrix) -> sp.Expr:
    """||W||_2^2, exactly."""
    return max((w.T * w).eigenvals(), key=lambda value: value.evalf())


def largest(weight: Array, count: int) -> Array:
    """Magnitude pruning: keep the ``count`` largest weights."""
    order = sorted(np.ndindex(*weight.shape), key=lambda place: abs(weight[place]), reverse=True)
    mask = np.zeros(weight.shape, dtype=bool)
    for place in order[:count]:
        mask[place] = True
    return mask


def square_gap(total: sp.Expr, squares: sp.Expr, more: sp.Expr) -> sp.Expr:
    """The square of a sum less the sum of the squares, with one more number than in S and Q."""
    return (total + more) ** 2 - (squares + more**2)


def gaussian_kept(tau: sp.Expr) -> sp.Expr:
    """E(Z^2 1[|Z| > tau]) for Z ~ N(0, 1), integrated."""
    z = sp.Symbol("z", real=True)
    density = sp.exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi)
    return 2 * sp.integrate(z**2 * density, (z, tau, sp.oo))


DENSE, PRUNED = matrix([[1, 1], [1, -1]]), matrix([[1, 1], [1, 0]])
SPECTRAL = operator(
    "Spectral", r"\lVert {0} \rVert_2", lambda w: sp.sqrt(spectral_squared(sp.Matrix(w))), real=True
)
MEAN_START = sp.Symbol(
    r"\frac{\mathrm{d}}{\mathrm{d} \alpha} \mathbb{E} \lVert W' \circ M \rVert_2 \big|_{\alpha = 0}",
    real=True,
)


def spectral_case() -> Case:
    """The derivative of the mean norm at alpha = 0: the sum of what single ablations change."""
    dense = sp.Matrix([[1, 1], [1, -1]])
    changes = []
    for place in range(4):
        pruned = dense.copy()
        pruned[place] = 0
        changes.append(sp.sqrt(spectral_squared(pruned)) - sp.sqrt(spectral_squared(dense)))
    return {MEAN_START: sp.simplify(sum(changes))}


@statement(
    "cex-spectral-norm-grows",
    kind="counterexample",
    title="Masking can raise the spectral norm",
    source="this book; against reading the norms of Theorem 3.3 as spectral norms",
    status="checked exactly on an example",
    claims={
        "dense": sp.Eq(SPECTRAL(DENSE), sp.sqrt(2)),
        "pruned": sp.Eq(SPECTRAL(PRUNED), (1 + sp.sqrt(5)) / 2),
        "start": sp.Eq(MEAN_START, 4 * ((1 + sp.sqrt(5)) / 2 - sp.sqrt(2))),
        "rises": sp.Gt(MEAN_START, 0),
    },
    cases=lambda: [spectral_case()],
    loose={"rises": "the derivative is positive, by whatever it is"},
)
def spectral_norm_grows(**_: sp.Basic) -> None:
    r"""Frobenius norms and column sums never grow when a weight is masked ({prf:ref}`lem-all-paths`), so that
    the last step of the paper's sketch is right for $c_2$ and $c_1$. With spectral norms it fails: masking
    one weight takes

    $$<<dense>> \quad\text{to}\quad <<pruned>>,$$

    and with the dense matrix for $W'$ the mean norm grows at first: $<<rises>>$, as

    $$<<start>> .$$
    """


GRADIENT = sp.Symbol("g")
EXACT_L = sp.IndexedBase("L", real=True)


def both_cases() -> list[Case]:
    """Constants and gradients of networks with several inputs, two that attain the bounds among them."""
    every = [case for case, _ in (*tight_cases(), *random_cases()) if case.net.widths[0] > 1]
    nets = [(exact_net([[[1], [0]]], [1]), None), *((case.net, case.ball) for case in every)]
    cases: list[Case] = []
    for net, ball in nets:
        constants = {
            1: lipschitz_power(net, ball, q=1),
            2: sp.sqrt(sp.Rational(lipschitz_power(net, ball, q=2))),
        }
        for region in regions(net, ball):
            cases.append({EXACT_L: constants, GRADIENT: region.gradient, WIDTH: {0: net.widths[0]}})
    return cases


@statement(
    "cor-both-norms",
    kind="corollary",
    title="Each bound serves both norms",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-expectation", "lem-cover", "lem-regions", "lem-cauchy-schwarz"),
    claims={
        "constants": chain(EXACT_L[2], sp.Le, EXACT_L[1], sp.Le, sp.sqrt(WIDTH[0]) * EXACT_L[2]),
        "gradients": chain(
            LENGTH(GRADIENT), sp.Le, ENTRIES(GRADIENT), sp.Le, sp.sqrt(WIDTH[0]) * LENGTH(GRADIENT)
        ),
    },
    cases=both_cases,
)
def both_norms(gradients: tuple[sp.Le, ...], **_: sp.Basic) -> None:
    r"""For the Lipschitz constants on a given set

    $$<<constants>>,$$

    as $<<gradients>>$ for gradients $g \in \mathbb{R}^{n_0}$. So Theorem B bounds $\mathbb{E} L_2$ as well,
    and Theorems C and D, times $\sqrt{n_0}$, bound $\mathbb{E} L_1$.
    """
    # One more coordinate, of absolute value a: if S^2 = Q + r for the sum S and the sum of squares Q so far,
    total, squares, rest, a = sp.symbols("S Q r a", nonnegative=True)
    gap = square_gap(total, squares, a).expand().subs(total**2, squares + rest)
    assert sp.expand(gap).is_nonnegative  # the same holds with it
    # and sum_i 1 |g_i| is at most sqrt(n) ||g||_2 by Cauchy and Schwarz for |g| and the vector of ones
    n, i = sp.Symbol("n", integer=True, positive=True), sp.Symbol("i", integer=True)
    assert sp.sqrt(sp.Sum(1, (i, 1, n)).doit()) == (gradients[1].rhs / LENGTH(GRADIENT)).subs(WIDTH[0], n)


MASKED_WEIGHT, RHO, ANY_RHO = (
    sp.IndexedBase("(W' \\circ M)"),
    sp.IndexedBase(r"\rho"),
    sp.IndexedBase(r"\rho'"),
)
MASKED_L = sp.Symbol(r"L_2^{M}", real=True)


def magnitude_cases() -> list[Case]:
    """Networks pruned by magnitude and by other masks that keep as many weights of each layer."""
    rng, cases = random.Random(77), []
    nets = [random_net(rng, widths) for widths in ((2, 2, 2), (3, 2))]
    for net in (exact_net([[[1], [1]]], [1]), *nets):
        for count in (1, 2, 3):
            kept = [largest(w, min(count, w.size)) for w in net.weights]
            for _ in range(3):
                masks = [_shuffled(rng, m) for m in kept]
                cases.append(magnitude_case(net, kept, masks))
            cases.append(magnitude_case(net, kept, kept))
    return cases


def _shuffled(rng: random.Random, mask: Array) -> Array:
    flat = list(mask.flat)
    rng.shuffle(flat)
    return np.array(flat).reshape(mask.shape)


def magnitude_case(net: ReluNet, kept: list[Array], others: list[Array]) -> Case:
    """The constant of a network pruned by magnitude, and the energies that its and other masks keep."""
    masked = net.masked(kept)
    layers = range(1, len(net.widths))
    energies = [kept_energy(w, m) for w, m in zip(net.weights, kept, strict=True)]
    return {
        DEPTH: len(net.widths),
        J: 1,
        MASKED_L: sp.sqrt(sp.Rational(lipschitz_power(masked, q=2))),
        CONSTANT: {2: sp.sqrt(sp.Rational(norm_product_power(net, q=2)))},
        WEIGHT: dict(zip(layers, net.weights, strict=True)),
        MASKED_WEIGHT: dict(zip(layers, masked.weights, strict=True)),
        RHO: dict(zip(layers, energies, strict=True)),
        ANY_RHO: {j: kept_energy(w, m) for j, w, m in zip(layers, net.weights, others, strict=True)},
    }


@statement(
    "thm-e-magnitude",
    kind="theorem",
    title="Theorem E: what magnitude pruning keeps",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-regions", "lem-all-paths"),
    claims={
        "energy": sp.Eq(RHO[J], FROBENIUS(MASKED_WEIGHT[J]) ** 2 / FROBENIUS(WEIGHT[J]) ** 2),
        "bound": sp.Le(MASKED_L, CONSTANT[2] * sp.Product(sp.sqrt(RHO[J]), (J, 1, DEPTH - 1))),
        "most": sp.Le(ANY_RHO[J], RHO[J]),
    },
    cases=magnitude_cases,
)
def theorem_e(bound: sp.Le, **_: sp.Basic) -> None:
    r"""For any masks, random or not, let

    $$<<energy>>$$

    be the kept energy. Then

    $$<<bound>> .$$

    Let these masks be those of magnitude pruning, and $\rho'$ the energies that other masks keep, with as
    many weights of each layer. Then $<<most>>$: for this bound magnitude pruning is the worst.
    """
    # lem-all-paths for the masked network: L_2 <= ||c|| prod ||W_j * M_j||_F, layer by layer a share of c_2
    share, whole = sp.symbols("rho W", positive=True)
    assert sp.sqrt(share) * whole == sp.sqrt(share * whole**2)
    assert bound.rhs / CONSTANT[2] == sp.Product(sp.sqrt(RHO[J]), (J, 1, DEPTH - 1))
    # T keeps the largest weights, K as many others. Squares that only T has are t^2 or more, only K t^2 or
    # less
    n, i = sp.Symbol("n", integer=True, nonnegative=True), sp.Symbol("i", integer=True)
    above, below = sp.IndexedBase("s", nonnegative=True), sp.IndexedBase("r", nonnegative=True)
    t = sp.Symbol("t", nonnegative=True)
    difference = sp.Sum((t**2 + above[i]) - (t**2 - below[i]), (i, 1, n))
    assert sp.simplify(difference - sp.Sum(above[i] + below[i], (i, 1, n))) == 0
    assert (above[i] + below[i]).is_nonnegative
    net = random_net(random.Random(77), (2, 2, 2))
    for count in (1, 2, 3):
        kept = [largest(w, count) for w in net.weights]
        squared = norm_product_power(net, q=2) * math.prod(map(kept_energy, net.weights, kept))
        assert abs(energy_bound(net, kept) ** 2 - float(squared)) < 1e-9 * float(squared)


TAU = sp.Symbol("tau", positive=True)
KEPT_ENERGY, PERCENT = sp.Symbol(r"\mathbb{E}(Z^2\, 1[|Z| > \tau])", real=True), sp.Symbol(r"100\, \rho")
DENSITY = operator("Density", r"\varphi({0})", lambda t: sp.exp(-(t**2) / 2) / sp.sqrt(2 * sp.pi), real=True)
UPPER = operator("Upper", r"(1 - \Phi({0}))", lambda t: (1 - sp.erf(t / sp.sqrt(2))) / 2, real=True)
ENERGY = 2 * (TAU * DENSITY(TAU) + UPPER(TAU))


def gaussian_case() -> Case:
    """The integral for every threshold, and what a mask of sparsity .9 keeps, in per cent."""
    return {
        TAU: TAU,
        KEPT_ENERGY: sp.simplify(gaussian_kept(TAU).rewrite(sp.erf)),
        PERCENT: round(100 * gaussian_energy(0.9)),
    }


@statement(
    "prop-gaussian-energy",
    kind="proposition",
    title="The energy that magnitude pruning keeps of Gaussian weights",
    source="this book",
    status="proved",
    uses=("lem-densities",),
    claims={"energy": sp.Eq(KEPT_ENERGY, ENERGY), "percent": sp.Eq(PERCENT, 44)},
    cases=lambda: [gaussian_case()],
)
def gaussian(energy: sp.Eq, percent: sp.Eq) -> None:
    r"""Let $Z \sim N(0, 1)$ and $\Pr(|Z| > \tau) = 1 - \alpha$. The part $\rho$ of the energy in the weights
    beyond $\tau$ is

    $$<<energy>> :$$

    of Gaussian weights, magnitude pruning at $\alpha = 0.9$ keeps a tenth, with, rounded, $<<percent>>$ per
    cent of the energy.
    """
    threshold = sp.sqrt(2) * sp.erfinv(sp.Rational(9, 10))
    value = sp.sympify(evaluate(energy.rhs, {TAU: TAU})).subs(TAU, threshold).evalf(20)
    assert abs(value - gaussian_energy(0.9)) < 1e-12
    assert round(100 * value) == percent.rhs
    assert abs(gaussian_energy(0.0) - 1) < 1e-12


MEAN_RHO, KEPT_RHO, KEPT_L = sp.Symbol(r"\mathbb{E} \rho"), sp.Symbol(r"\rho"), sp.Symbol("L_2", real=True)
BY_THEOREM_C = sp.Symbol(r"c_2 \sqrt{1 - \alpha}", real=True)


def pair_cases() -> list[Case]:
    """One weight of two kept, at random and by magnitude; and the formula for h at points."""
    weight, half = PAIR.weights[0], Fraction(1, 2)
    kept = largest(weight, 1)
    energies = kept_sums([weight.shape], lambda m: kept_energy(weight, m[0]))
    facts = {
        ALPHA: half,
        MEAN_RHO: expectation([weight.shape], energies, [half]),
        BY_THEOREM_C: sp.sqrt(sp.Rational(norm_product_power(PAIR, q=2) * half)),
        KEPT_RHO: kept_energy(weight, kept),
        KEPT_L: sp.sqrt(sp.Rational(lipschitz_power(PAIR.masked([kept]), q=2))),
    }
    return [{**facts, **place} for place in at_points(PAIR, [(1, 1), (1, -4), (2, -5)])]


X_1, X_2 = sp.symbols("x_1 x_2")


@statement(
    "cex-magnitude-is-not-random",
    kind="counterexample",
    title="Magnitude pruning is not a random mask",
    source="this book; against applying Theorem 3.3 to pruned networks, paper, section 4.2",
    status="checked exactly on an example",
    uses=("lem-regions",),
    claims={
        "h": sp.Eq(NET, SIGMA(3 * X_1 + X_2)),
        "half": sp.Eq(ALPHA, sp.Rational(1, 2)),
        "mean": sp.Eq(MEAN_RHO, sp.Rational(1, 2)),
        "bound": sp.Eq(BY_THEOREM_C, sp.sqrt(5)),
        "kept": sp.Eq(KEPT_RHO, sp.Rational(9, 10)),
        "steep": sp.Eq(KEPT_L, 3),
        "more": sp.Gt(KEPT_L, BY_THEOREM_C),
    },
    loose={"more": "a counterexample"},
    cases=pair_cases,
)
def magnitude_is_not_random(**_: sp.Basic) -> None:
    r"""For $<<h>>$ keep one weight of two, $<<half>>$. Random masks have mean $<<mean>>$, and by Theorem C
    $\mathbb{E} L_2$ is at most $<<bound>>$. Magnitude pruning keeps $<<kept>>$, and has $<<steep>>$:
    $<<more>>$.
    """


BEFORE, WITHOUT, AFTER = (
    sp.Symbol(rf"L_2^{{\mathrm{{{name}}}}}", real=True) for name in ("dense", "pruned", "retrained")
)
BY_THEOREM_E = sp.Symbol(r"c_2 \sqrt{\rho}", real=True)


def retraining_cases() -> list[Case]:
    """A network, pruned, and retrained to its old value at (1, 1)."""
    mask = np.array([[True], [False]])
    x = EVEN.weights[0][:, 0]  # (1, 1)
    pruned, retrained = EVEN.masked([mask]), exact_net([[[2], [0]]], [1])
    assert EVEN(x) == retrained(x)
    squares = [lipschitz_power(net, q=2) for net in (EVEN, pruned, retrained)]
    squares.append(norm_product_power(EVEN, q=2) * kept_energy(EVEN.weights[0], mask))
    roots = (sp.sqrt(sp.Rational(square)) for square in squares)
    facts = dict(zip((BEFORE, WITHOUT, AFTER, BY_THEOREM_E), roots, strict=True))
    return [{**facts, **place} for place in at_points(EVEN, [(1, 1), (3, -1), (1, -2)])]


@statement(
    "cex-retraining",
    kind="counterexample",
    title="Retraining leaves the theorem behind",
    source="this book; against applying Theorem 3.3 to retrained networks, paper, section 4.1",
    status="checked exactly on an example",
    uses=("lem-regions",),
    claims={
        "h": sp.Eq(NET, SIGMA(X_1 + X_2)),
        "dense": sp.Eq(BEFORE, sp.sqrt(2)),
        "pruned": sp.Eq(WITHOUT, 1),
        "retrained": chain(AFTER, sp.Eq, 2, sp.Eq, 2 * BY_THEOREM_E),
        "larger": sp.Gt(AFTER, BEFORE),
    },
    loose={"larger": "a counterexample"},
    cases=retraining_cases,
)
def retraining(**_: sp.Basic) -> None:
    r"""All bounds are relative to the dense weights $W'$, and hold while these stay. For $<<h>>$, with
    $<<dense>>$, masking one weight gives $<<pruned>>$. Retrained to give the old value at $x = (1, 1)$, the
    weight that is left becomes $2$, and $<<retrained>>$, twice the bound of {prf:ref}`thm-e-magnitude`, and
    larger than before pruning: $<<larger>>$.
    """
