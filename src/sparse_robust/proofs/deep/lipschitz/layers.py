"""Layers that are applied and not written out: convolutions, max pooling, and norms by power iteration."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import comb, inf

import numpy as np
import sympy as sp
import torch

from sparse_robust.proofs.formulas import Case, Every, Largest, Least, chain, evaluate, operator, root
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.layer_intervals import Stage, gradient_bound, live_path_norm, sampled_gradients
from sparse_robust.theory.linear_maps import (
    Conv2d,
    Dense,
    MaxPool2d,
    layers_path_norm,
    layers_product,
    norm_1,
    norm_inf,
    spectral_norm,
)
from sparse_robust.theory.networks import Array, fractions

from .chain import COORDINATE

IMAGE = (2, 6, 6)
"""The shape of the inputs of :func:`random_stack`."""


def integers(rng: torch.Generator, *shape: int, low: int = -3) -> torch.Tensor:
    """Random integers up to 3 as float64, so that sums and products of them are exact."""
    return torch.randint(low, 4, shape, generator=rng).double()


def exact(values: torch.Tensor) -> Array:
    """The numbers of a tensor, as fractions."""
    return fractions([Fraction(v) for v in values.flatten().tolist()])


def random_stack(seed: int, pool: MaxPool2d, low: int = -3) -> tuple[list[Stage], torch.Tensor, torch.Tensor]:
    """A small convolutional network with biases, its readout, and an image, all integers from ``low`` on."""
    rng = torch.Generator().manual_seed(seed)
    shift = integers(rng, 3, 1, 1, low=low)
    conv = Stage(Conv2d(integers(rng, 3, 2, 3, 3, low=low), IMAGE, padding=1), shift, relu=True)
    pooled = pool.apply(conv.apply(torch.zeros(1, *IMAGE, dtype=torch.float64)))[0].numel()
    dense = Stage(Dense(integers(rng, 5, pooled, low=low)), integers(rng, 5, low=low), relu=True)
    return [conv, Stage(pool), dense], integers(rng, 5, low=low), integers(rng, *IMAGE, low=low)


SIDE, STRIDE, INDEX = sp.symbols("k s i", integer=True, positive=True)
MOVED = sp.IndexedBase(r"\lVert x - y \rVert", nonnegative=True)
POOLED = sp.IndexedBase(r"\lVert \mathrm{pool}(x) - \mathrm{pool}(y) \rVert", nonnegative=True)
IMAGE_OF_ONES, ROW_SUMS = sp.Symbol(r"|A|\, 1"), sp.Symbol(r"\bigl(\textstyle\sum_i |A_{ui}|\bigr)_u")
BACK_OF_ONES, COLUMN_SUMS = sp.Symbol(r"|A|^{T} 1"), sp.Symbol(r"\bigl(\textstyle\sum_u |A_{ui}|\bigr)_i")
STEEPEST, PATHS = sp.symbols(r"L_1 \mathrm{PN}", nonnegative=True)
CEILING = operator("Ceiling", r"\lceil {0} / {1} \rceil", lambda k, s: -(-k // s), positive=True)


def windows_in(pool: MaxPool2d, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The zero image, and one with a 1 at a pixel that is in as many windows as any."""
    pixels = torch.eye(side * side, dtype=torch.float64).reshape(-1, 1, side, side)
    reached = pool.apply(pixels).flatten(1).sum(1)
    return torch.zeros(1, 1, side, side, dtype=torch.float64), pixels[reached.argmax()][None]


def pooling_cases() -> list[Case]:
    """Pairs of images, one of them in the worst case; convolutions; gradients at points of whole networks."""
    rng, cases = torch.Generator().manual_seed(51), list[Case]()
    for seed, (kernel, stride) in enumerate(((2, 2), (3, 2), (3, 1), (2, 1))):
        pool = MaxPool2d(kernel, stride)
        stages, readout, _ = random_stack(seed, pool, low=-3 if seed else 0)
        points = integers(rng, 60, *IMAGE, low=-3 if seed else 1)
        gradients = sampled_gradients(stages, readout, points).flatten(1).abs().sum(1)
        weights = integers(rng, 2, 3, 3, 3)
        conv = Conv2d(weights, (3, 5, 5), stride, padding=seed % 2)
        matrix = conv.apply(torch.eye(75, dtype=torch.float64).reshape(75, 3, 5, 5)).flatten(1).mT
        ones = torch.ones_like(conv.apply(conv.ones()))
        drawn = [(integers(rng, 1, 1, 7, 7), integers(rng, 1, 1, 7, 7)) for _ in range(4)]
        for x, y in [windows_in(pool, 7), *drawn]:
            gap, moved = exact(pool.apply(x) - pool.apply(y)), exact(x - y)
            cases.append(
                {
                    SIDE: kernel,
                    STRIDE: stride,
                    POOLED: {sp.oo: max(abs(gap)), 2: sp.sqrt(sp.Rational(sum(gap**2)))},
                    MOVED: {sp.oo: max(abs(moved)), 2: sp.sqrt(sp.Rational(sum(moved**2)))},
                    IMAGE_OF_ONES: exact(conv.magnitude().apply(conv.ones())),
                    ROW_SUMS: exact(matrix.abs().sum(1)),
                    BACK_OF_ONES: exact(conv.magnitude().adjoint(ones)),
                    COLUMN_SUMS: exact(matrix.abs().sum(0)),
                    STEEPEST: Fraction(float(gradients.max())),
                    PATHS: Fraction(layers_path_norm([stage.layer for stage in stages], readout)),
                }
            )
    return cases


@statement(
    "prop-pooling",
    kind="proposition",
    title="Layers that are not dense",
    source="this book",
    status="argued",
    uses=("lem-3-1-repaired", "lem-interval"),
    claims={
        "rows": sp.Eq(IMAGE_OF_ONES, ROW_SUMS),
        "columns": sp.Eq(BACK_OF_ONES, COLUMN_SUMS),
        "largest": sp.Le(POOLED[sp.oo], MOVED[sp.oo]),
        "euclidean": sp.Le(POOLED[2], CEILING(SIDE, STRIDE) * MOVED[2]),
        "paths": sp.Le(STEEPEST, PATHS),
    },
    cases=pooling_cases,
)
def pooling(**_: sp.Basic) -> None:
    r"""Convolutions are linear maps, and {prf:ref}`lem-3-1-repaired` holds for them with the norms of these
    maps: with $|K|$ for the kernels of absolute values, $|A|$ applied to an image of ones has the row sums of
    $|A|$ as entries, and its transpose the column sums,

    $$<<rows>>, \qquad <<columns>> .$$

    Max pooling selects one input for each output, at almost every point: for windows of side $k$ at
    distance $s$,

    $$<<largest>>, \qquad <<euclidean>> .$$

    Apply the network with weights of absolute values, without biases, to an image of ones, pooling and
    all. The number at each unit bounds the $l_1$ norm of its gradient, and $\mathrm{PN}$, which is $|c|^T$
    times those of the last layer, bounds $L_1$: $<<paths>>$.
    """
    # an output is an input of its window, for x and for y: the largest of the differences bounds theirs
    x, rise, fall = sp.symbols("x s t", nonnegative=True)
    assert sp.Max(x - fall, x + rise) == x + rise  # an input that falls pulls no maximum below one that rises
    # sum over outputs of the square of one of its inputs' differences: an input counts once for each of its
    # windows, of which there are at most ceil(k / s) in both directions
    for kernel in range(1, 6):
        for stride in range(1, kernel + 1):
            starts = range(0, 12 * stride, stride)
            most = max(sum(a <= place < a + kernel for a in starts) for place in range(6 * stride))
            assert most == MaxPool2d(kernel, stride).euclidean == CEILING.value(kernel, stride)
    for seed, pool in enumerate((MaxPool2d(2, 2), MaxPool2d(3, 2))):
        stages, readout = random_stack(seed, pool)[:2]
        layers = [stage.layer for stage in stages]
        assert layers_path_norm(layers, readout) <= layers_product(layers, readout, q=1)
        for conv in (layer for layer in layers if isinstance(layer, Conv2d)):
            sizes = conv.apply(torch.eye(72, dtype=torch.float64).reshape(72, *IMAGE)).flatten(1).mT.abs()
            assert norm_inf(conv) == float(sizes.sum(1).max())
            assert norm_1(conv) == float(sizes.sum(0).max())


OTHER = sp.Symbol("j", integer=True)
LOW, INPUT, HIGH = (sp.IndexedBase(name, real=True) for name in ("l", "a", "r"))
GRADIENT, ENVELOPE = sp.IndexedBase(r"\nabla h", real=True), sp.IndexedBase("u", nonnegative=True)
LIVE = sp.Symbol(r"\mathrm{PN}_{\mathrm{live}}", nonnegative=True)
LARGEST = [Largest(base[INDEX], INDEX) for base in (LOW, INPUT, HIGH)]


def window_case(low: Sequence[int], value: Sequence[int], high: Sequence[int]) -> Case:
    """The inputs of a window."""
    named = ((LOW, low), (INPUT, value), (HIGH, high))
    return {INDEX: range(len(value)), OTHER: range(len(value)), **{b: dict(enumerate(v)) for b, v in named}}


def window_cases() -> list[Case]:
    """Windows, with the gradients of small networks on balls, and what bounds them there."""
    windows = [
        window_case((1, 0, -2), (1, 1, 0), (3, 1, 2)),
        window_case((2, 0, 0), (2, 1, 0), (2, 1, 1)),
        window_case((0, -1, 0), (3, -1, 2), (3, 0, 2)),
    ]
    cases: list[Case] = []
    for seed, pool in enumerate((MaxPool2d(2, 2), MaxPool2d(3, 2), MaxPool2d(3, 1))):
        stages, readout, image = random_stack(seed, pool, low=-3 if seed else 0)
        layers, rng = [stage.layer for stage in stages], torch.Generator().manual_seed(53)
        for radius in (1 / 64, 1.0):
            steps = integers(rng, 20, *image.shape) / 4
            gradients = sampled_gradients(stages, readout, image + radius * steps).flatten(1)
            bound = exact(gradient_bound(stages, readout, image, radius, p=inf))
            live = Fraction(live_path_norm(stages, readout, image, radius, p=inf))
            whole = Fraction(layers_path_norm(layers, readout))
            for window, gradient in zip(windows, gradients, strict=False):  # a few points are enough
                numbers = {STEEPEST: Fraction(float(gradients.abs().sum(1).max())), LIVE: live, PATHS: whole}
                vectors = {GRADIENT: dict(enumerate(exact(gradient))), ENVELOPE: dict(enumerate(bound))}
                cases.append({**window, COORDINATE: range(len(bound)), **vectors, **numbers})
    return cases


def outside_its_interval() -> Case:
    """An input above its upper end."""
    return {**window_cases()[0], **window_case((1, 0), (1, 5), (3, 1))}


@statement(
    "prop-pooling-intervals",
    kind="proposition",
    title="Intervals through max pooling",
    source="this book",
    status="argued",
    uses=("prop-interval-gradient", "prop-live-units", "prop-pooling"),
    hypotheses={
        "between": Every(sp.And(LOW[INDEX] <= INPUT[INDEX], INPUT[INDEX] <= HIGH[INDEX]), INDEX),
    },
    without={"between": outside_its_interval},
    claims={
        "range": chain(
            Largest(LOW[INDEX], INDEX),
            sp.Le,
            Largest(INPUT[INDEX], INDEX),
            sp.Le,
            Largest(HIGH[INDEX], INDEX),
        ),
        "candidates": Every(
            sp.Ge(HIGH[INDEX], Largest(LOW[OTHER], OTHER)),
            INDEX,
            sp.Ge(INPUT[INDEX], Largest(INPUT[OTHER], OTHER)),
        ),
        "gradient": Every(sp.Le(sp.Abs(GRADIENT[COORDINATE]), ENVELOPE[COORDINATE]), COORDINATE),
        "live": chain(STEEPEST, sp.Le, LIVE, sp.Le, PATHS),
    },
    cases=window_cases,
)
def pooling_intervals(**_: sp.Basic) -> None:
    r"""Let $<<between>>$ in a window on the ball. The largest input lies between the largest ends,

    $$<<range>>,$$

    and is attained only at *candidates* of the window: $<<candidates>>$. {prf:ref}`prop-interval-gradient`
    and {prf:ref}`prop-live-units` remain true for networks with max pooling, if a pooled unit passes its
    interval on to the inputs of its window like a unit that is active everywhere to its only candidate, if it
    has but one; like one that may be either to each of several candidates; and like one that is active
    nowhere to all others. An input gets the sum over the windows that it is in, and on the way forwards a
    pooled unit the largest number among its candidates: $<<gradient>>$, and $<<live>>$ for the path norm
    through live units and candidates.
    """
    low, up = sp.symbols("s t", nonnegative=True)
    a, b = sp.symbols("a b", real=True)
    # an input a that is at least b, with ends a + t and b - s: its upper end is at least the lower one of b
    gap = sp.Symbol("g", nonnegative=True)
    assert ((a + up) - (b - low)).subs(a, b + gap).expand().is_nonnegative


THRESHOLD, DIMENSION = sp.Symbol("t", real=True), sp.Symbol("n", integer=True)
POWER = sp.Symbol("k", integer=True)
START = sp.Symbol(r"\Pr(|u_1| \le t)", nonnegative=True)
LARGEST_VALUE = sp.Symbol("s", nonnegative=True)
STRETCHED = sp.Symbol(r"\lVert A v \rVert_2", nonnegative=True)
RHO, RESIDUAL = sp.Symbol(r"\rho", real=True), sp.Symbol(r"\lVert B v - \rho v \rVert_2", nonnegative=True)
EIGENVALUE = sp.IndexedBase(r"\lambda", real=True)
GROWN, FIRST = sp.Symbol(r"\lVert B^k u \rVert_2", nonnegative=True), sp.Symbol("|u_{1}|", nonnegative=True)


def start_bound(threshold: sp.Expr, inputs: sp.Expr) -> sp.Expr:
    """The bound for Pr(|u_1| <= t), u uniform on the unit sphere of R^n."""
    return threshold * root(2 * inputs / sp.pi)


def near_the_equator(half: int, threshold: Fraction) -> Fraction:
    """Pr(|u_1| <= t) in R^(2 half + 1): u_1 has a density in proportion to (1 - x^2)^(half - 1)."""

    def area(t: Fraction) -> Fraction:
        terms = ((-1) ** j * comb(half - 1, j) * t ** (2 * j + 1) / (2 * j + 1) for j in range(half))
        return sum(terms, Fraction(0))

    return area(threshold) / area(Fraction(1))


def power_case(values: tuple[int, int], v: Array, u: Array, threshold: Fraction, half: int) -> Case:
    """A diagonal matrix, a unit vector v, a start u, and a sphere of odd dimension."""
    squares, steps = fractions(values) ** 2, 40
    rho = sum(squares * v**2)
    return {
        THRESHOLD: threshold,
        DIMENSION: 2 * half + 1,
        POWER: steps,
        START: near_the_equator(half, threshold),
        LARGEST_VALUE: sp.Integer(max(map(abs, values))),
        STRETCHED: sp.sqrt(sp.Rational(rho)),
        RHO: Fraction(rho),
        RESIDUAL: sp.sqrt(sp.Rational(sum((squares * v - rho * v) ** 2))),
        INDEX: range(2),
        EIGENVALUE: dict(enumerate(squares)),
        GROWN: sp.sqrt(sp.Rational(sum((squares**steps * u) ** 2))),
        FIRST: abs(u[int(np.argmax(squares))]),
    }


def power_cases() -> list[Case]:
    """Vectors along an eigenvector, between two, and almost between; a start that hardly counts."""
    one, between = fractions([1, 0]), np.array([sp.sqrt(2) / 2] * 2, dtype=object)
    late = fractions(["9/41", "40/41"])
    half, tiny = Fraction(1, 2), Fraction(1, 1000)
    return [
        power_case((3, 1), one, one, half, 1),
        power_case((3, 1), between, between, half, 100),
        power_case((2, 0), fractions(["20/29", "21/29"]), fractions(["9/20", 0]), half, 3),
        power_case((1, 4), late, late, tiny, 100),
        power_case((2, 0), fractions([0, 1]), late, Fraction(9, 41), 2),
    ]


@statement(
    "prop-power-iteration",
    kind="proposition",
    title="What power iteration guarantees",
    source="this book; in the manner of Kuczyński and Woźniakowski 1992",
    status="argued",
    uses=("lem-cauchy-schwarz",),
    claims={
        "below": sp.Le(STRETCHED, LARGEST_VALUE),
        "rho": sp.Eq(RHO, STRETCHED**2),
        "residual": sp.Le(Least(sp.Abs(EIGENVALUE[INDEX] - RHO), INDEX), RESIDUAL),
        "start": sp.Le(START, start_bound(THRESHOLD, DIMENSION)),
        "above": sp.Implies(
            sp.Ge(FIRST, THRESHOLD), sp.Le(LARGEST_VALUE, (GROWN / THRESHOLD) ** (1 / (2 * POWER)))
        ),
    },
    cases=power_cases,
)
def power_iteration(start: sp.Le, **_: sp.Basic) -> None:
    r"""Let $B = A^T A$ with the eigenvalues $\lambda_i$, $s$ the largest singular value of $A$, and $u$
    uniform on the unit sphere of $\mathbb{R}^n$, with the coordinate $u_1$ along a singular vector of $s$.
    For every unit vector $v$, $<<below>>$, and with $<<rho>>$,

    $$<<residual>> .$$

    For $0 < t < 1$,

    $$<<start>>, \qquad <<above>> .$$

    A small residual alone does not say that the eigenvalue is the largest one.
    """
    # the density of u_1 is at most Gamma(n/2) / (sqrt(pi) Gamma((n-1)/2)); Gamma(x + 1/2) <= sqrt(x) Gamma(x)
    for n in (3, 4, 10, 100):
        peak = sp.gamma(sp.Rational(n, 2)) / (sp.sqrt(sp.pi) * sp.gamma(sp.Rational(n - 1, 2)))
        assert float(2 * peak) <= float(evaluate(start.rhs, {THRESHOLD: 1, DIMENSION: n}))
    slope = float(evaluate(start.rhs, {THRESHOLD: 1, DIMENSION: 2}))
    t = np.linspace(0, 1, 21)  # n = 2: the distribution of |cos| of a uniform angle
    assert (2 / np.pi * np.arcsin(t) <= slope * t + 1e-12).all()
    # B^k u has the coordinate s^(2k) u_1, at least s^(2k) t, and is at least as long
    s, rest, threshold = sp.symbols("s r t", positive=True)
    k = sp.Symbol("k", positive=True)
    grown = s ** (2 * k) * threshold + rest
    assert sp.simplify(grown - s ** (2 * k) * threshold).is_positive
    generator = torch.Generator().manual_seed(52)
    for seed in range(20):
        matrix = torch.randn(5, 7, generator=generator, dtype=torch.float64)
        truth = float(torch.linalg.matrix_norm(matrix, 2))
        bounds = spectral_norm(Dense(matrix), steps=15, seed=seed)
        assert bounds.lower <= truth * (1 + 1e-12)
        assert truth <= bounds.upper
        values = torch.linalg.svdvals(matrix) ** 2
        assert float((values - bounds.lower**2).abs().min()) <= bounds.residual + 1e-9
