"""Russo's formula: the derivative of any expectation over random masks, and when pruning helps."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import Any

import sympy as sp

from sparse_robust.proofs.deep.written import ALPHA
from sparse_robust.proofs.formulas import OUTCOMES, Case, Mean, Total, operator
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.lipschitz import lipschitz_power
from sparse_robust.theory.mask_derivatives import ablations, places, probability, with_bit
from sparse_robust.theory.mask_enumeration import Masks, all_masks, kept_sums, mask_polynomial, mask_shapes
from sparse_robust.theory.networks import ReluNet, exact_net, fractions
from sparse_robust.theory.regions import Ball

from .cases import EXAMPLE, EXAMPLE_BALL, Value, polynomial
from .gaps import DIFFERENCE
from .moments import POSITIVE

F, M, W = sp.symbols("f M w")
A, N = sp.Symbol("alpha", real=True), sp.Symbol("n", integer=True)
RANGE = sp.Symbol(r"\mathrm{osc} f", real=True)
MEAN_F, SLOPE = (
    sp.Symbol(r"\mathbb{E} f(M)", real=True),
    sp.Symbol(r"\frac{\mathrm{d}}{\mathrm{d} \alpha} \mathbb{E} f(M)"),
)
START, WHOLE = sp.Symbol("s", real=True), sp.Symbol("f(1)", real=True)
MASKED = operator(
    "Masked",
    r"{0}({1} \text{{ with }} {2} \text{{ masked}})",
    lambda f, m, w: f(with_bit(m, w, False)),
    real=True,
)
KEPT = operator(
    "Kept", r"{0}({1} \text{{ with }} {2} \text{{ kept}})", lambda f, m, w: f(with_bit(m, w, True)), real=True
)
ABLATED = operator("Ablated", r"{0}(1 \text{{ without }} {1})", lambda f, w: f.without(w), real=True)

PIVOTAL = Mean(MASKED(F, M, W) - KEPT(F, M, W))


class Functional:
    """A function of the masks of a network, evaluated once for each."""

    def __init__(self, net: ReluNet, value: Value) -> None:
        self.shapes = mask_shapes(net)
        self.table = {_key(m): Fraction(value(net.masked(m))) for m in all_masks(self.shapes)}
        self.whole = next(all_masks(self.shapes))

    def __call__(self, masks: Masks) -> Fraction:
        """Its value under these masks."""
        return self.table[_key(masks)]

    def without(self, place: Any) -> Fraction:
        """Its value when all weights but one are kept."""
        return self(with_bit(self.whole, place, False))

    def polynomial(self) -> sp.Expr:
        """E f as a polynomial in alpha."""
        sums = kept_sums(self.shapes, self)
        return mask_polynomial(self.shapes, sums, [ALPHA] * len(self.shapes)).as_expr()


def _key(masks: Masks) -> bytes:
    return b"".join(mask.tobytes() for mask in masks)


def functionals() -> list[Functional]:
    """Lipschitz constants, outputs and a certified radius of small networks."""
    x = fractions([1])
    narrow = exact_net([[[2, -1]], [[1], [-3]]], [2], [[0, 1], [1]])
    lipschitz = partial(lipschitz_power, q=1)
    return [
        Functional(DIFFERENCE, lipschitz),
        Functional(narrow, lipschitz),
        Functional(narrow, lambda net: net(x)),
        Functional(
            exact_net([[[3], [-1]]], [1]),
            partial(gamma, x=fractions([2, 1]), ball=Ball(fractions([2, 1]), Fraction(1))),
        ),
    ]


def russo_case(f: Functional, alpha: Fraction) -> Case:
    """The derivative from the polynomial, the masks one by one."""
    mean = f.polynomial()
    slope = sp.Rational(sp.diff(mean, ALPHA).subs(ALPHA, alpha))
    every = list(all_masks(f.shapes))
    weights = list(places(f.shapes))
    values = list(f.table.values())
    return {
        F: f,
        A: alpha,
        W: weights,
        N: len(weights),
        SLOPE: Fraction(slope.p, slope.q),
        MEAN_F: Fraction(str(sp.Rational(mean.subs(ALPHA, alpha)))),
        WHOLE: f(f.whole),
        START: sum(ablations(f.shapes, f).values()),
        RANGE: max(values) - min(values),
        OUTCOMES: [(probability(m, [alpha] * len(f.shapes)), {M: m}) for m in every],
    }


def russo_cases() -> list[Case]:
    """Every functional at sparsities from 0 to 1."""
    return [russo_case(f, Fraction(a, 4)) for f in functionals() for a in range(5)]


@statement(
    "thm-russo",
    kind="theorem",
    title="Russo's formula for random masks",
    source="this book; Russo 1981 for monotone events",
    status="kernel proved, glue argued",
    uses=("lem-expectation",),
    claims={"russo": sp.Eq(SLOPE, Total(PIVOTAL, W))},
    cases=russo_cases,
)
def russo(russo: sp.Eq) -> None:
    r"""Let every weight be masked independently with the same probability $\alpha$, and let $f$ be any
    function of the masks: a Lipschitz constant, a margin, a certified radius. Then, with the sum over all
    weights $w$,

    $$<<russo>> .$$
    """
    # one weight, masked with probability a: E f = a E(f | masked) + (1 - a) E(f | kept), and neither mean
    # depends on a, as the other weights are independent of this one; E f is affine in each a
    a, masked, kept = sp.symbols("a masked kept")
    assert sp.expand(sp.diff(a * masked + (1 - a) * kept, a) - (masked - kept)) == 0
    assert russo.rhs.body.args[0] == MASKED(F, M, W) - KEPT(F, M, W)
    # chain rule: all sparsities are alpha, so the partial derivatives add up; for three weights written out
    names, parts = sp.symbols("a1:4"), sp.symbols("f0:8")
    mean = sum(
        part * sp.prod(a if number >> i & 1 else 1 - a for i, a in enumerate(names))
        for number, part in enumerate(parts)
    )
    alpha = sp.Symbol("alpha")
    partials = sum(sp.diff(mean, a).subs(dict.fromkeys(names, alpha)) for a in names)
    assert sp.expand(sp.diff(mean.subs(dict.fromkeys(names, alpha)), alpha) - partials) == 0


ABLATIONS = Total(ABLATED(F, W) - WHOLE, W)


@statement(
    "cor-slight-pruning",
    kind="corollary",
    title="Slight pruning: the ablations decide",
    source="this book",
    status="kernel proved, glue argued",
    uses=("thm-russo",),
    claims={
        "sum": sp.Eq(START, ABLATIONS),
        "remainder": sp.Le(sp.Abs(MEAN_F - WHOLE - A * START), N * (N - 1) * RANGE * A**2),
    },
    cases=russo_cases,
)
def slight_pruning(sum: sp.Eq, remainder: sp.Le) -> None:
    r"""Let $f(1)$ be the value for the dense network, $n$ the number of weights, $\mathrm{osc} f$ the
    difference of the largest and the smallest value of $f$, and

    $$<<sum>>$$

    the sum of what single ablations change. It is the derivative of $\mathbb{E} f(M)$ at $\alpha = 0$, and

    $$<<remainder>> .$$

    So if $s \ne 0$, slight random pruning changes the mean of $f$ in the direction of $s$; if $s > 0$, it
    raises it for all $0 < \alpha < s / (n (n - 1)\, \mathrm{osc} f)$.
    """
    # at alpha = 0 all other weights are kept, and f(kept) is that of the dense network
    assert sum.rhs == ABLATIONS
    # the second derivative is the sum over ordered pairs of weights of E(f_00 - f_01 - f_10 + f_11), where
    # each f lies between the smallest value m and m + osc: written f = m + osc t, 0 <= t <= 1
    m, osc = sp.Symbol("m"), sp.Symbol("osc", nonnegative=True)
    a, b = sp.symbols("a b")
    parts = [m + osc * t for t in sp.symbols("t00 t01 t10 t11")]
    mean = a * b * parts[0] + a * (1 - b) * parts[1] + (1 - a) * b * parts[2] + (1 - a) * (1 - b) * parts[3]
    mixed = sp.expand(sp.diff(mean, a, b))
    ends = [
        mixed.subs(dict(zip(sp.symbols("t00 t01 t10 t11"), t, strict=True)))
        for t in ((1, 0, 0, 1), (0, 1, 1, 0))
    ]
    assert [sp.expand(end) for end in ends] == [2 * osc, -2 * osc]  # it is affine in each t, so extreme there
    n, alpha = sp.symbols("n alpha", positive=True)
    taylor = alpha**2 / 2 * n * (n - 1) * 2 * osc
    assert sp.expand(taylor - remainder.rhs.subs({N: n, RANGE: osc, A: alpha})) == 0


def gamma(net: ReluNet, x: Any, ball: Ball | None) -> Fraction:
    """The certified l_inf radius: min(h / L_1, R) on a ball, else h / L_1; 0 without a margin.

    Raises:
        ZeroDivisionError: without a ball, if the network is constant and right: then it is infinite.
    """
    margin, steepest = net(x), lipschitz_power(net, ball, q=1)
    if margin <= 0:
        return Fraction(0)
    if ball is None:
        return Fraction(margin / steepest)
    return Fraction(min(margin / steepest, ball.radius) if steepest else ball.radius)


GAMMA_SLOPES = {"ball": sp.Rational(-807, 850), "plane": sp.Rational(383521, 1081575)}
"""d/d alpha E gamma at alpha = 0, on the ball of the example and with the global constant."""


@statement(
    "prop-gamma-slopes",
    kind="proposition",
    title="The same network, pruned slightly: worse, or better",
    source="this book; paper, after Theorem 3.3, "
    + '"an appropriately higher weight sparsity implies a larger gamma"',
    status="checked exactly on an example",
    uses=(
        "thm-russo",
        "lem-regions",
    ),
    claims={
        "ball": sp.Eq(sp.Symbol(r"s_{\mathrm{ball}}"), GAMMA_SLOPES["ball"]),
        "plane": sp.Eq(sp.Symbol(r"s_{\mathrm{plane}}"), GAMMA_SLOPES["plane"]),
    },
    cases=lambda: [slopes_of_gamma()],
)
def gamma_slopes(ball: sp.Eq, plane: sp.Eq) -> None:
    r"""For the network of {prf:ref}`prop-all-masks-example` at $x = (1, 1)$ and $l_\infty$ perturbations, the
    derivative of the mean certified radius at $\alpha = 0$ is $<<ball>>$ with $\gamma = \min(h / L_1, R)$ and
    $L_1$ on the ball of radius $R = \tfrac12$, and $<<plane>>$ with $\gamma = h / L_1$ and $L_1$ on
    $\mathbb{R}^2$. By the first measure slight random pruning makes the network less robust on average,
    by the second more robust. For the positive network of {prf:ref}`err-larger-gamma` the derivative is $0$:
    no single ablation changes $\gamma$.
    """
    x = fractions([1, 1])
    single = Functional(POSITIVE, partial(gamma, x=x, ball=Ball(x, Fraction(1))))
    assert set(ablations(single.shapes, single).values()) == {0}
    for domain, slope in ((EXAMPLE_BALL, ball.rhs), (None, plane.rhs)):
        mean = polynomial(EXAMPLE, partial(gamma, x=x, ball=domain))
        assert sp.diff(mean, ALPHA).subs(ALPHA, 0) == slope


def masked_gamma(x: Any, domain: Any, masks: Any) -> Any:
    """gamma of the example under masks, at x on a domain."""
    return gamma(EXAMPLE.masked(masks), x, domain)


def slopes_of_gamma() -> Case:
    """Both derivatives, as sums of ablations."""
    x, shapes = fractions([1, 1]), mask_shapes(EXAMPLE)
    return {
        sp.Symbol(rf"s_{{\mathrm{{{name}}}}}"): sum(
            ablations(shapes, partial(masked_gamma, x, domain)).values()
        )
        for name, domain in (("ball", EXAMPLE_BALL), ("plane", None))
    }
