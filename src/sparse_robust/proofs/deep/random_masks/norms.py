"""Theorems D and E: spectral norms of random masks, and what magnitude pruning keeps."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import partial
from itertools import combinations

import numpy as np
import sympy as sp

from sparse_robust.proofs.statement import statement
from sparse_robust.theory.lipschitz import lipschitz_power
from sparse_robust.theory.mask_bounds import (
    bernstein_bound,
    energy_bound,
    gaussian_energy,
    kept_energy,
    norm_product_power,
)
from sparse_robust.theory.mask_enumeration import Masks, expectation, kept_sums
from sparse_robust.theory.networks import Array, exact_net, float_net

from .cases import random_cases, random_net

PAIR = exact_net([[[3], [1]]], [1])
"""h(x) = s(3 x_1 + x_2)."""
EVEN = exact_net([[[1], [1]]], [1])
"""h(x) = s(x_1 + x_2)."""


def spectral_squared(w: sp.Matrix) -> sp.Expr:
    """||W||_2^2, exactly."""
    return max((w.T * w).eigenvals(), key=lambda value: value.evalf())


def spectral_norm(weight: Array, masks: Masks) -> float:
    """||W * M||_2 for the one mask given, in floating point."""
    return float(np.linalg.norm(weight * masks[0], 2))


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


@statement(
    "cex-spectral-norm-grows",
    kind="counterexample",
    title="Masking can raise the spectral norm",
    source="this book; against reading the norms of Theorem 3.3 as spectral norms",
    status="checked exactly on an example",
)
def spectral_norm_grows() -> None:
    r"""Frobenius norms and column sums never grow when a weight is masked ({prf:ref}`lem-all-paths`), so that
    the last step of the paper's sketch is right for $c_2$ and $c_1$. With spectral norms it fails: masking
    one weight takes $\begin{pmatrix} 1 & 1 \\ 1 & -1 \end{pmatrix}$ from $\sqrt 2$ to
    $\lVert \begin{pmatrix} 1 & 1 \\ 1 & 0 \end{pmatrix} \rVert_2 = \tfrac{1 + \sqrt 5}2$, and
    $\mathbb{E} \lVert W' \circ M \rVert_2 > \lVert W' \rVert_2$ for small $\alpha > 0$.
    """
    dense = sp.Matrix([[1, 1], [1, -1]])
    golden = (1 + sp.sqrt(5)) / 2
    assert spectral_squared(dense) == 2
    assert sp.simplify(spectral_squared(sp.Matrix([[1, 1], [1, 0]])) - golden**2) == 0
    for place in range(4):  # any one of the four; the derivative of the mean at 0 is 4 (golden - sqrt 2)
        pruned = dense.copy()
        pruned[place] = 0
        assert sp.simplify(spectral_squared(pruned) - golden**2) == 0
    assert (golden - sp.sqrt(2)).is_positive


@statement(
    "thm-d-bernstein",
    kind="theorem",
    title="Theorem D: spectral norms by matrix Bernstein",
    source="Tropp 2015, theorem 1.6.2, applied to masks",
    status="cited",
    uses=("lem-3-1-repaired",),
)
def theorem_d() -> None:
    r"""For an $n \times m$ matrix $W'$ with entries of absolute value at most $w$, rows and columns of
    squared length at most $\nu$, a mask with sparsity $0 < \alpha < 1$ and $\ell = \log(n + m)$,

    $$\begin{aligned} \mathbb{E} \lVert W' \circ M \rVert_2 \le {} & (1 - \alpha) \lVert W' \rVert_2
      + \sqrt{2 \alpha (1 - \alpha)\, \nu\, \ell} \\
      & + \tfrac13 \max(\alpha, 1 - \alpha)\, w\, \ell . \end{aligned}$$

    With $b_j$ for the right side in layer $j$, $\mathbb{E} L_2 \le \lVert c \rVert_2 \prod_j b_j$, as the
    layers are independent.
    """
    rng = random.Random(76)
    for shape in ((2, 2), (3, 3), (2, 4)):
        net = random_net(rng, shape)
        single = float_net([net.weights[0].astype(float)], np.eye(1, shape[1])[0])  # readout of length 1
        sums = kept_sums([shape], partial(spectral_norm, single.weights[0]))
        for alpha in (0.0, 0.05, 0.3, 0.5, 0.9, 1.0):
            assert expectation([shape], sums, [alpha]) <= bernstein_bound(single, [alpha]) + 1e-12


@statement(
    "cor-both-norms",
    kind="corollary",
    title="Each bound serves both norms",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-expectation", "lem-regions", "lem-cauchy-schwarz"),
)
def both_norms() -> None:
    r"""$L_2 \le L_1 \le \sqrt{n_0}\, L_2$ for the Lipschitz constants on a given set, as
    $\lVert g \rVert_2 \le \lVert g \rVert_1 \le \sqrt{n_0}\, \lVert g \rVert_2$ for gradients
    $g \in \mathbb{R}^{n_0}$. So Theorem B bounds $\mathbb{E} L_2$ as well, and Theorems C and D, times
    $\sqrt{n_0}$, bound $\mathbb{E} L_1$.
    """
    # One more coordinate, of absolute value a: if S^2 = Q + r for the sum S and the sum of squares Q so far,
    total, squares, rest, a = sp.symbols("S Q r a", nonnegative=True)
    gap = square_gap(total, squares, a).expand().subs(total**2, squares + rest)
    assert sp.expand(gap).is_nonnegative  # the same holds with it
    # and sum_i 1 |g_i| is at most sqrt(n) ||g||_2 by Cauchy and Schwarz for |g| and the vector of ones
    n, i = sp.Symbol("n", integer=True, positive=True), sp.Symbol("i", integer=True)
    assert sp.Sum(1, (i, 1, n)).doit() == n
    for case, grid in random_cases():
        for alphas in grid:
            over = case.mean(alphas)
            assert over.l_2 <= over.l_1
            assert over.l_1**2 <= case.net.widths[0] * over.l_2_squared


@statement(
    "thm-e-magnitude",
    kind="theorem",
    title="Theorem E: what magnitude pruning keeps",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-regions", "lem-all-paths"),
)
def theorem_e() -> None:
    r"""For any masks, random or not, let
    $\rho_j = \lVert W'_j \circ M_j \rVert_F^2 / \lVert W'_j \rVert_F^2$ be the kept energy. Then
    $L_2 \le c_2 \prod_j \sqrt{\rho_j}$. Among all masks that keep a given number of weights, magnitude
    pruning has the largest $\rho_j$: for this bound it is the worst.
    """
    # T keeps the largest weights, K as many others. Squares that only T has are t^2 or more, only K t^2 or
    # less
    n, i = sp.Symbol("n", integer=True, nonnegative=True), sp.Symbol("i", integer=True)
    above, below = sp.IndexedBase("s", nonnegative=True), sp.IndexedBase("r", nonnegative=True)
    t = sp.Symbol("t", nonnegative=True)
    difference = sp.Sum((t**2 + above[i]) - (t**2 - below[i]), (i, 1, n))
    assert sp.simplify(difference - sp.Sum(above[i] + below[i], (i, 1, n))) == 0
    assert (above[i] + below[i]).is_nonnegative
    rng = random.Random(77)
    for widths in ((2, 2, 2), (3, 2)):
        net = random_net(rng, widths)
        for count in (1, 2, 3):
            kept = [largest(w, count) for w in net.weights]
            energies = [kept_energy(w, m) for w, m in zip(net.weights, kept, strict=True)]
            squared = norm_product_power(net, q=2)
            for w, m, rho in zip(net.weights, kept, energies, strict=True):
                assert rho * (w**2).sum() == ((w * m) ** 2).sum()
                squared *= rho
            assert lipschitz_power(net.masked(kept), q=2) <= squared
            assert abs(energy_bound(net, kept) ** 2 - float(squared)) < 1e-9 * float(squared)
            for w, rho in zip(net.weights, energies, strict=True):
                places = list(np.ndindex(*w.shape))
                for chosen in combinations(places, count):
                    mask = np.zeros(w.shape, dtype=bool)
                    for place in chosen:
                        mask[place] = True
                    assert kept_energy(w, mask) <= rho


@statement(
    "prop-gaussian-energy",
    kind="proposition",
    title="The energy that magnitude pruning keeps of Gaussian weights",
    source="this book",
    status="proved",
    uses=("lem-densities",),
)
def gaussian() -> None:
    r"""Let $Z \sim N(0, 1)$ and $\Pr(|Z| > \tau) = 1 - \alpha$. The part of the energy in the weights beyond
    $\tau$ is

    $$\rho = \mathbb{E}\bigl(Z^2\, 1[|Z| > \tau]\bigr)
      = 2\, \bigl(\tau \varphi(\tau) + 1 - \Phi(\tau)\bigr) :$$

    of Gaussian weights, magnitude pruning at $\alpha = 0.9$ keeps a tenth, with $44\,\%$ of the energy.
    """
    tau = sp.Symbol("tau", positive=True)
    density = sp.exp(-(tau**2) / 2) / sp.sqrt(2 * sp.pi)
    upper = (1 - sp.erf(tau / sp.sqrt(2))) / 2  # 1 - Phi
    assert sp.simplify((gaussian_kept(tau) - 2 * (tau * density + upper)).rewrite(sp.erf)) == 0
    threshold = sp.sqrt(2) * sp.erfinv(sp.Rational(9, 10))
    value = (2 * (tau * density + upper)).subs(tau, threshold).evalf(20)
    assert abs(value - gaussian_energy(0.9)) < 1e-12
    assert round(100 * value) == 44
    assert abs(gaussian_energy(0.0) - 1) < 1e-12


@statement(
    "cex-magnitude-is-not-random",
    kind="counterexample",
    title="Magnitude pruning is not a random mask",
    source="this book; against applying Theorem 3.3 to pruned networks, paper, section 4.2",
    status="checked exactly on an example",
    uses=("lem-regions",),
)
def magnitude_is_not_random() -> None:
    r"""For $h = \sigma(3 x_1 + x_2)$ keep one weight of two, $\alpha = \tfrac12$. Random masks have mean
    $\mathbb{E} \rho = \tfrac12$, and $\mathbb{E} L_2 \le c_2 \sqrt{1 - \alpha} = \sqrt 5$ by Theorem C.
    Magnitude pruning keeps $\rho = \tfrac9{10}$, and its $L_2 = 3$ exceeds $\sqrt 5$.
    """
    weight = PAIR.weights[0]
    kept = largest(weight, 1)
    assert kept_energy(weight, kept) == Fraction(9, 10)
    energies = kept_sums([weight.shape], lambda m: kept_energy(weight, m[0]))
    assert expectation([weight.shape], energies, [Fraction(1, 2)]) == Fraction(1, 2)
    bound = norm_product_power(PAIR, q=2) * Fraction(1, 2)
    assert bound == 5 < lipschitz_power(PAIR.masked([kept]), q=2) == 9


@statement(
    "cex-retraining",
    kind="counterexample",
    title="Retraining leaves the theorem behind",
    source="this book; against applying Theorem 3.3 to retrained networks, paper, section 4.1",
    status="checked exactly on an example",
    uses=("lem-regions",),
)
def retraining() -> None:
    r"""All bounds are relative to the dense weights $W'$, and hold while these stay. For
    $h = \sigma(x_1 + x_2)$ masking one weight takes $L_2$ from $\sqrt 2$ to $1$. Retrained to give the old
    value at $x = (1, 1)$, the weight that is left becomes $2$, and $L_2 = 2$: larger than before pruning, and
    twice the bound $c_2 \sqrt\rho = 1$ of {prf:ref}`thm-e-magnitude`.
    """
    mask = np.array([[True], [False]])
    x = EVEN.weights[0][:, 0]  # (1, 1)
    pruned, retrained = EVEN.masked([mask]), exact_net([[[2], [0]]], [1])
    assert EVEN(x) == retrained(x) == 2
    values = [lipschitz_power(net, q=2) for net in (EVEN, pruned, retrained)]
    assert values == [2, 1, 4]
    bound = norm_product_power(EVEN, q=2) * kept_energy(EVEN.weights[0], mask)
    assert bound == 1 < values[2]
