"""Lemma 3.1 step by step: gradients inside regions, the segment argument, regions, and induced norms."""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from math import inf

import numpy as np
import sympy as sp

from sparse_robust.proofs.deep.random_masks.cases import random_nets
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.intervals import norm_power
from sparse_robust.theory.lipschitz import induced_norm, layer_product, lipschitz_power
from sparse_robust.theory.networks import Array, ReluNet, exact_net, fractions
from sparse_robust.theory.regions import Ball, regions

PAPER = "paper, Lemma 3.1, equation (10)"
ROUNDING = 1 + 1e-9
"""Room for rounding where a norm is not rational."""

SUM = exact_net([[[1], [1]]], [1])
"""h = s(x_1 + x_2), on which column sums are attained and row sums are too small."""


def random_cases(seed: int, count: int) -> Iterator[tuple[ReluNet, Ball]]:
    """Random networks with one or two hidden layers or three, half of them with biases, and an l_inf ball."""
    rng = random.Random(seed)
    for net in random_nets(seed=seed, count=count):
        centre = fractions([Fraction(rng.randint(-4, 4), 2) for _ in range(net.widths[0])])
        yield net, Ball(centre, Fraction(rng.randint(1, 4), 2))


def random_point(rng: random.Random, ball: Ball) -> Array:
    """A rational point of an l_inf ball."""
    steps = [Fraction(rng.randint(-997, 997), 1000) for _ in ball.centre]
    return np.asarray(ball.centre + ball.radius * np.array(steps, dtype=object))


def backward(w: sp.MatrixExpr, active: sp.MatrixExpr, v: sp.MatrixExpr) -> sp.MatrixExpr:
    """One layer of the gradient, from the activations behind it to those before it."""
    return w * active * v


@statement(
    "lem-gradient",
    kind="lemma",
    title="The gradient inside a region",
    source="paper, section 3.2, behind equation (9)",
    status="proved",
)
def gradient_formula() -> None:
    r"""Where no unit changes its state, $h$ is affine, and for any widths and depth its gradient is

    $$\nabla h = W_1 D_1 W_2 D_2 \cdots W_{d-1} D_{d-1}\, c , \qquad c = w_a - w_k .$$

    Biases do not enter.
    """
    rows, columns = sp.symbols("n_0 n_1", integer=True, positive=True)
    w, active = sp.MatrixSymbol("W", rows, columns), sp.MatrixSymbol("D", columns, columns)
    shift, v = sp.MatrixSymbol("b", columns, 1), sp.MatrixSymbol("v", columns, 1)
    before = sp.MatrixSymbol("a", rows, 1)
    # Induction from the output down: if dh/da_j = v, the activations of layer j are D (W^T a + b), so that
    h = v.T * active * (w.T * before + shift)
    below = h.diff(before).doit()
    assert below == backward(w, active.T, v)
    diagonal = sp.DiagMatrix(sp.MatrixSymbol("s", columns, 1))
    assert diagonal.T.doit() == diagonal
    step = Fraction(1, 10**6)
    for net, ball in random_cases(seed=41, count=6):  # exact difference quotients, inside each region
        for region in regions(net, ball):
            assert (net.gradient(region.pattern) == region.gradient).all()
            for i in range(len(region.gradient)):
                moved = region.point.copy()
                moved[i] += step
                if all(map(np.array_equal, net.pattern(moved), region.pattern)):
                    assert (net(moved) - net(region.point)) / step == region.gradient[i]


def breakpoints(net: ReluNet, x: Array, y: Array) -> list[Fraction]:
    """0 = t_0 < t_1 < ... < t_m = 1 such that no unit changes its state between t_i and t_{i+1} on [x, y].

    Layer by layer: between two breakpoints so far the preactivations are affine in t, each has one root at
    most, and behind a further cut at the roots the activations are affine as well.
    """
    cuts = [Fraction(0), Fraction(1)]
    for layer in range(len(net.weights)):
        roots: set[Fraction] = set()
        for start, end in pairwise(cuts):
            first, last = (net.preactivations(x + t * (y - x))[layer] for t in (start, end))
            for a, b in zip(first, last, strict=True):
                if a * b < 0:
                    roots.add(crossing(start, end, a, b))
        cuts = sorted({*cuts, *roots})
    return cuts


def crossing(start: Fraction, end: Fraction, a: Fraction, b: Fraction) -> Fraction:
    """Where the affine function with values a at ``start`` and b at ``end`` vanishes."""
    return start + (end - start) * a / (a - b)


@statement(
    "lem-segment",
    kind="lemma",
    title="Along a segment",
    source="this book",
    status="argued",
    uses=("lem-gradient", "lem-hoelder"),
)
def segment() -> None:
    r"""Every segment $x + t (y - x)$, $0 \le t \le 1$, has finitely many breakpoints
    $0 = t_0 < \dots < t_m = 1$ between which every preactivation is affine and either has no zero or is zero
    throughout. With $g_i = W_1 D_1 \cdots W_{d-1} D_{d-1} c$ formed with the states between $t_i$ and
    $t_{i+1}$,

    $$h(y) - h(x) = \sum_i (t_{i+1} - t_i)\, g_i^T (y - x) .$$

    So $|h(y) - h(x)| \le \max_i \lVert g_i \rVert_q\, \lVert y - x \rVert_p$.
    """
    start, end, a, b = sp.symbols("s e a b", real=True)
    t = sp.Symbol("t", real=True)
    affine = a + (b - a) * (t - start) / (end - start)
    assert sp.simplify(affine.subs(t, crossing(start, end, a, b))) == 0  # its only zero, for a != b
    rng = random.Random(42)
    for net, ball in random_cases(seed=42, count=12):
        x, y = (random_point(rng, ball) for _ in range(2))
        cuts = breakpoints(net, x, y)
        pieces = list(pairwise(cuts))
        gradients = []
        for s, e in pieces:
            third, middle = (
                net.pattern(x + (s + (e - s) * f) * (y - x)) for f in (Fraction(1, 3), Fraction(1, 2))
            )
            assert all(map(np.array_equal, third, middle))
            gradients.append(net.gradient(middle))
        total = sum((e - s) * (g @ (y - x)) for (s, e), g in zip(pieces, gradients, strict=True))
        assert total == net(y) - net(x)
        longest = max(norm_power(g, 1) for g in gradients)
        assert abs(net(y) - net(x)) <= longest * norm_power(y - x, inf)


@statement(
    "lem-regions",
    kind="lemma",
    title="The Lipschitz constant is the largest gradient",
    source="this book",
    status="argued",
    uses=("lem-segment", "lem-hoelder", "prop-dual-norm"),
)
def lipschitz_of_regions() -> None:
    r"""Let $B$ be a closed ball of positive radius, or all of $\mathbb{R}^n$, and $\frac1p + \frac1q = 1$,
    $1 \le q \le \infty$. The best Lipschitz constant $L_q$ of a ReLU network $h$ on $B$ with respect to
    $\lVert \cdot \rVert_p$ is the largest $\lVert \nabla h \rVert_q$ over those activation regions that are
    full-dimensional and meet the interior of $B$. There are finitely many, so that it is a maximum.
    """
    rng = random.Random(43)
    for net, ball in random_cases(seed=43, count=12):
        found = list(regions(net, ball))
        constant = lipschitz_power(net, ball, q=1)
        steepest = max(found, key=lambda r: norm_power(r.gradient, 1))
        assert constant == norm_power(steepest.gradient, 1)
        for _ in range(10):  # an upper bound
            x, y = (random_point(rng, ball) for _ in range(2))
            assert abs(net(x) - net(y)) <= constant * norm_power(x - y, inf)
        step = Fraction(1, 2**20) * np.array([sp.sign(g) for g in steepest.gradient], dtype=object)
        moved = steepest.point + fractions(step)
        if constant and all(map(np.array_equal, net.pattern(moved), steepest.pattern)):  # and attained
            assert net(moved) - net(steepest.point) == constant * norm_power(moved - steepest.point, inf)
        patterns = {tuple(map(bytes, region.pattern)) for region in found}
        for _ in range(25):  # what brute force finds in the open ball, off the boundaries of regions
            x = random_point(rng, ball)
            if all((z != 0).all() for z in net.preactivations(x)):
                assert tuple(map(bytes, net.pattern(x))) in patterns


def factor(norm: sp.Expr, active: sp.Expr, length: sp.Expr) -> sp.Expr:
    """The bound for || W D v ||: ||W|| ||D|| ||v||."""
    return norm * active * length


@statement(
    "lem-induced-norms",
    kind="lemma",
    title="Induced norms, and what transposing does",
    source="folklore",
    status="proved",
    uses=("lem-triangle", "lem-cauchy-schwarz"),
)
def induced_norms() -> None:
    r"""Let $\lVert W \rVert_{q \to q} = \max_{v \ne 0} \lVert W v \rVert_q / \lVert v \rVert_q$. Then
    $\lVert W D v \rVert_q \le \lVert W \rVert_{q \to q} \lVert D \rVert_{q \to q} \lVert v \rVert_q$.

    $\lVert W \rVert_{1 \to 1}$ is the largest column sum of absolute values,
    $\lVert W \rVert_{\infty \to \infty}$ the largest row sum. So $\lVert W \rVert_{1 \to 1} = \lVert W^T
    \rVert_{\infty \to \infty}$, while $\lVert W \rVert_{2 \to 2} = \lVert W^T \rVert_{2 \to 2}$.
    """
    size, u = sp.Symbol("m", integer=True, positive=True), sp.Symbol("u", integer=True)
    entry, slack = sp.IndexedBase("v", nonnegative=True), sp.IndexedBase("s", nonnegative=True)
    largest = sp.Symbol("S", nonnegative=True)
    # ||W v||_1 <= sum_u |v_u| (column sum)_u, each column sum is the largest one less some slack
    gap = largest * sp.Sum(entry[u], (u, 1, size)) - sp.Sum(entry[u] * (largest - slack[u]), (u, 1, size))
    assert sp.simplify(gap.expand() - sp.Sum(entry[u] * slack[u], (u, 1, size))) == 0
    # |(W v)_i| <= sum_u |W_iu| |v_u| with |v_u| = ||v||_inf - s_u
    weight = sp.IndexedBase("w", nonnegative=True)
    row = largest * sp.Sum(weight[u], (u, 1, size)) - sp.Sum(weight[u] * (largest - slack[u]), (u, 1, size))
    assert sp.simplify(row.expand() - sp.Sum(weight[u] * slack[u], (u, 1, size))) == 0
    # ||W v||^2 = v . W^T W v <= ||v|| ||W^T|| ||W v||: divide by ||v|| ||W v||
    image, length, back = sp.symbols("Wv v WT", positive=True)
    assert sp.simplify((length * back * image - image**2) / (length * image) - (back - image / length)) == 0
    rng = random.Random(44)
    for _ in range(20):
        w = fractions([[rng.randint(-4, 4) for _ in range(3)] for _ in range(2)])
        for q, dual in ((1, inf), (inf, 1)):
            assert induced_norm(w, q) == induced_norm(w.T, dual)
            v = fractions([rng.randint(-4, 4) for _ in range(3)])
            assert norm_power(w @ v, q) <= induced_norm(w, q) * norm_power(v, q)
        columns, rows = abs(w).sum(0), abs(w).sum(1)
        unit = fractions([int(k == columns.argmax()) for k in range(3)])
        assert norm_power(w @ unit, 1) == induced_norm(w, 1)  # both are attained
        signs = fractions([1 if k >= 0 else -1 for k in w[rows.argmax()]])
        assert norm_power(w @ signs, inf) == induced_norm(w, inf)
        assert abs(induced_norm(w, 2) - induced_norm(w.T, 2)) < 1e-9


@statement(
    "lem-3-1-repaired",
    kind="lemma",
    title="Lemma 3.1, repaired",
    source="this book",
    status="proved",
    uses=("lem-regions", "lem-induced-norms"),
)
def lemma_repaired() -> None:
    r"""Let $1 \le q \le \infty$, $\frac1p + \frac1q = 1$, and let $h = g_a - g_k$ be a ReLU network of any
    depth, with or without biases, $c = w_a - w_k$. On the closed ball $B = B_p(x, R)$, $R > 0$,

    $$L_q \le \max_{x' \in B} \bigl\lVert W_1 D_1(x') \cdots W_{d-1} D_{d-1}(x')\, c \bigr\rVert_q
      \le \lVert c \rVert_q \max_{x' \in B} \prod_{j=1}^{d-1}
      \lVert D_j(x') \rVert_{q \to q} \lVert W_j \rVert_{q \to q} .$$

    The norms of the matrices are those of $q$, not of $p$: column sums for $q = 1$. The same holds without a
    ball. Both maxima are over finitely many values.
    """
    norm, active, length, slack = sp.symbols("W D v s", nonnegative=True)
    # ||W_j D_j v_j|| = (||W_j|| ||D_j|| ||v_j|| - s): one layer more costs one factor more, and monotonically
    assert (sp.diff(factor(norm, active, length), length)).is_nonnegative
    assert (factor(norm, active, length) - (factor(norm, active, length) - slack)).is_nonnegative
    for net, ball in [*random_cases(seed=45, count=12), (SUM, None)]:
        for q in (1, 2, inf):
            exact = lipschitz_power(net, ball, q=q)
            assert float(exact) <= float(layer_product(net, q=q)) ** (2 if q == 2 else 1) * ROUNDING
        assert lipschitz_power(net, ball, q=1) <= layer_product(net, q=1)


@statement(
    "lem-3-1",
    kind="lemma",
    title="The paper's Lemma 3.1, for $q = 1$ with the norm transposed",
    source=PAPER,
    status="proved",
    uses=("lem-3-1-repaired", "lem-induced-norms", "err-transposed"),
)
def lemma_3_1() -> None:
    r"""Let $\frac1p + \frac1q = 1$, then for any $x \in \mathbb{R}^n$, $k \in \{1, \dots, c\}$ and
    $q \in \{1, 2\}$, the local Lipschitz constant of function $g_{\hat y}(x) - g_k(x)$ satisfies

    $$L_{q,x}^k \le \lVert w_{\hat y} - w_k \rVert_q \sup_{x' \in B_p(x, R)}
      \prod_{j=1}^{d-1} \bigl( \lVert D_j(x') \rVert_p \lVert W_j \rVert_p \bigr).$$

    (For $q = 2$ it is true as it stands. For $q = 1$, $p = \infty$, it is true if $\lVert W_j \rVert_\infty$
    is read as the norm of $v \mapsto v^T W_j$, or of $W_j^T$: the largest column sum. With the usual
    $\lVert W_j \rVert_\infty$, the largest row sum, it is false, {prf:ref}`err-transposed`.)
    """
    for net, ball in [*random_cases(seed=46, count=12), (SUM, None)]:
        assert float(lipschitz_power(net, ball, q=2)) <= layer_product(net, q=2) ** 2 * ROUNDING
        transposed = norm_power(net.readout, 1)
        for w in net.weights:
            transposed *= induced_norm(w.T, inf)
        assert lipschitz_power(net, ball, q=1) <= transposed


__all__ = [
    "PAPER",
    "ROUNDING",
    "SUM",
    "backward",
    "breakpoints",
    "crossing",
    "factor",
    "random_cases",
    "random_point",
]
