"""Theorem A's recursion: it bounds the probability that no path is left; both for LeNet-300-100."""

from __future__ import annotations

import random
from fractions import Fraction

import sympy as sp

from sparse_robust.proofs.deep.written import written
from sparse_robust.proofs.formulas import Case, Every, Mean
from sparse_robust.proofs.statement import statement
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
from .percolation import (
    EXAMPLE_ETA,
    EXAMPLE_STAR,
    HALVES,
    SHAPES,
    R,
    enumerated_star,
    eta_of,
    generating,
    mask_law,
    mask_laws,
    mean_of_event,
    recursion,
    unit_cut_off,
)

LENET, GRID = (784, 300, 100), (0.5, 0.9, 0.99, 0.999, 0.9999)
"""The hidden layers of LeNet-300-100, and values of alpha."""
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
    """s = 9/8 behind three layers, where the recursion is below the truth."""
    return {**recursion_cases()[-1], S: Fraction(9, 8)}


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
