"""Two Gaussian classes: how far magnitude pruning may go before it harms the l_inf robustness.

The setting is that of `gaussian.py`. The classifier carries the class mean on a support S, w = m_S: what is
left of the dense optimum when its small weights are pruned and nothing is retrained. Write D = ||m_S||_2,
N = D^2 - eps ||m_S||_1, z = N / D, and drop one more weight, of magnitude a < D; primes mark the result.
"""

import numpy as np
import sympy as sp

from sparse_robust.proofs.formulas import Case, Iff, chain
from sparse_robust.proofs.foundations.notation import written
from sparse_robust.proofs.statement import statement

from .notation import EPS, NORM_1, NORM_2, exact, norm_2

D, T = sp.symbols("D T", positive=True)  # T = tan(theta / 2), in (0, 1)
N = sp.Symbol("N", real=True)
DROPPED, KEPT = 2 * D * T / (1 + T**2), D * (1 - T**2) / (1 + T**2)  # a = D sin(theta), D' = D cos(theta)
BELOW_ONE = {
    T: sp.Symbol("k", positive=True) / (1 + sp.Symbol("k", positive=True))
}  # makes 0 < T < 1 explicit


WEIGHT, AFTER, NORM_AFTER = (
    sp.Symbol("a", positive=True),
    sp.Symbol("N'", real=True),
    sp.Symbol("D'", positive=True),
)


def dropped_case(means: tuple[object, ...], eps: object) -> Case:
    """N, D and a, before and after the last of these means is dropped."""
    m, radius = exact(*means), sp.Rational(str(eps))
    rest = m[:-1]

    def robust(v: np.ndarray) -> sp.Expr:
        return sum(x**2 - radius * abs(x) for x in v)

    return {
        D: norm_2(m),
        N: robust(m),
        AFTER: robust(rest),
        NORM_AFTER: norm_2(rest),
        WEIGHT: abs(m[-1]),
        EPS: radius,
    }


def phase_case(means: tuple[object, ...], eps: object = 1) -> Case:
    """The robust signal before and after the last of these means is dropped, and the half angle."""
    case = dropped_case(means, eps)
    half = case[WEIGHT] / (case[D] + case[NORM_AFTER])
    return {**case, Z: case[N] / case[D], Z_AFTER: case[AFTER] / case[NORM_AFTER], HALF: half}


Z, Z_AFTER, HALF = sp.symbols("z z' t", real=True)
GAIN = WEIGHT / NORM_AFTER * (EPS - WEIGHT + Z * HALF)


@statement(
    "thm-gaussian-phase",
    kind="theorem",
    title="What dropping one weight gains",
    source="this book",
    status="proved",
    uses=("prop-gaussian-linf",),
    claims={"gain": sp.Eq(Z_AFTER - Z, GAIN)},
    cases=lambda: [phase_case(means) for means in ((3, 4), (12, 5), ("1/2", "1/3"), (3, 2, "3/2"))],
)
def gain(gain: sp.Eq) -> None:
    r"""Let $w = m_S$ and drop a weight with $|m_i| = a$, $0 < a < D = \|m_S\|_2$. With $\sin\theta = a/D$,
    $D' = D\cos\theta$ and $t = \tan\frac\theta2$ the robust signal changes by exactly

    $$<<gain>> .$$

    So dropping it raises $r_\infty$ iff $a - \epsilon < z\tan(\theta/2)$, whatever the sign of $z$.
    """
    assert sp.simplify(DROPPED**2 + KEPT**2 - D**2) == 0  # D'^2 = D^2 - a^2
    assert sp.simplify(T - DROPPED / (D + KEPT)) == 0  # T is tan(theta / 2)
    after = N + DROPPED * (EPS - DROPPED)  # N' = N - a^2 + eps a
    named = {WEIGHT: DROPPED, NORM_AFTER: KEPT, Z: N / D, Z_AFTER: after / KEPT, HALF: T}
    assert sp.simplify((gain.lhs - gain.rhs).subs(named)) == 0
    assert sp.simplify((DROPPED / KEPT).subs(BELOW_ONE)).is_positive


NU, M = sp.Symbol("nu", real=True), sp.Symbol("m", real=True)
COSINE = sp.sqrt(1 - (WEIGHT / D) ** 2)


def boundary_cases() -> list[Case]:
    """Below, above and exactly on the boundary, with signals of either sign."""
    cases: list[Case] = []
    equal = ((("3/5", "4/5"), 1), (("3/10", "2/5"), "1/2"))  # on the boundary
    others = (
        ((200, 1), 1),
        ((3, 1), 1),
        ((4, 2), "5/4"),
        (("1/2", "1/3"), 1),
        ((3, "1/2"), 2),
        (("1/2", 1), "1/4"),
    )
    for means, eps in (*equal, *others):
        case = phase_case(means, eps)
        cases.append({**case, M: exact(*means), NU: case[N] / case[D] ** 2})
    return cases


@statement(
    "cor-gaussian-boundary",
    kind="corollary",
    title="The phase boundary",
    source="this book",
    status="proved",
    uses=("thm-gaussian-phase",),
    claims={
        "survival": chain(NU, sp.Eq, Z / D, sp.Eq, 1 - EPS * NORM_1(M) / NORM_2(M) ** 2, sp.Lt, 1),
        "boundary": Iff(sp.Gt(Z_AFTER, Z), sp.Lt(WEIGHT / EPS, 1 / (1 - NU / (1 + COSINE)))),
    },
    cases=boundary_cases,
)
def boundary(survival: tuple[sp.Basic, ...], boundary: Iff) -> None:
    r"""The part of the signal that survives the attack is

    $$<<survival>> .$$

    Dropping the weight raises $r_\infty$ when it raises $z$:

    $$<<boundary>> .$$

    For a weight that is small beside $D$ this is the curve $a/\epsilon = 2/(2 - \nu)$.
    """
    assert survival[0].lhs == NU
    limit = boundary.args[1].rhs.subs({COSINE: sp.Symbol("c", real=True), NU: sp.Symbol("nu", real=True)})
    a, nu, c = sp.symbols("a nu c", real=True)
    # tan(theta / 2) = sin(theta) / (1 + cos(theta)), z = nu D, a = D sin(theta): it is nu a / (1 + c)
    assert sp.simplify(T - (DROPPED / D) / (1 + KEPT / D)) == 0
    assert sp.simplify((EPS - a + nu * a / (1 + c)) - (EPS - a / limit)) == 0
    slack, cosine = sp.symbols("s c", positive=True)  # nu = 1 - slack: the divisor is positive
    assert sp.simplify((1 - (1 - slack) / (1 + cosine)) - (cosine + slack) / (1 + cosine)) == 0
    assert sp.simplify(1 / (1 - nu / 2) - 2 / (2 - nu)) == 0


POLYNOMIAL = D**2 * (2 * N * (EPS - WEIGHT) + WEIGHT * (EPS - WEIGHT) ** 2) + N**2 * WEIGHT


def dropped_cases() -> list[Case]:
    """Weights below the radius, between it and its double, above, and of either sign of N."""
    triples = ((3, 2, "1/2"), (3, 2, "3/2"), (4, -3, 2), ("1/2", "13/10"), ("1/2", "1/3"))
    return [dropped_case(triple, 1) for triple in triples]


@statement(
    "cor-gaussian-cubic",
    kind="corollary",
    title="The boundary as a polynomial",
    source="this book",
    status="proved",
    uses=("thm-gaussian-phase",),
    claims={
        "after": sp.Eq(AFTER, N + WEIGHT * (EPS - WEIGHT)),
        "gain": sp.Eq(AFTER**2 * D**2 - N**2 * NORM_AFTER**2, WEIGHT * POLYNOMIAL),
    },
    cases=dropped_cases,
)
def cubic(after: sp.Eq, gain: sp.Eq) -> None:
    r"""Let $N = D^2 - \epsilon\|m_S\|_1$, so $z = N/D$, and primes mark what is left. Then $<<after>>$ and

    $$<<gain>> .$$

    If $N > 0$ and $N' > 0$, dropping the weight raises $r_\infty$ iff the right side is positive. Both
    signs are positive when $N > 0$ and the weight is a smallest one.
    """
    squares = {NORM_AFTER: sp.sqrt(D**2 - WEIGHT**2), AFTER: after.rhs}
    # N' / D' > N / D > 0 iff N'^2 D^2 > N^2 D'^2
    assert sp.expand((gain.lhs - gain.rhs).subs(squares)) == 0
    # a smallest: if a <= eps, N' - N = a (eps - a) >= 0; if not, all others exceed eps too, q = eps + d + e:
    d, e = sp.symbols("d e", nonnegative=True)
    assert (WEIGHT * (EPS - WEIGHT)).subs(EPS, WEIGHT + d).expand().is_nonnegative
    q = EPS + d + e
    assert sp.expand(q**2 - EPS * q).is_nonnegative  # each adds this to N'; d > 0 makes it positive
    assert sp.expand((q**2 - EPS * q).subs(d, sp.Symbol("b", positive=True))).is_positive


@statement(
    "cex-gaussian-cubic",
    kind="counterexample",
    title="The polynomial needs both signs",
    source="this book",
    status="checked exactly on an example",
    uses=("cor-gaussian-cubic",),
    claims={
        "means": sp.Eq(M, written("1/2", "13/10")),
        "radius": sp.Eq(EPS, 1),
        "signs": sp.Gt(N, 0),
        "polynomial": sp.Gt(POLYNOMIAL, 0),
        "after": sp.Lt(AFTER, 0),
        "lower": sp.Lt(Z_AFTER, Z),
    },
    cases=lambda: [{**phase_case(("1/2", "13/10")), M: exact("1/2", "13/10")}],
    loose=dict.fromkeys(("signs", "polynomial", "after", "lower"), "an example, with something to spare"),
)
def cubic_needs_signs(**claims: object) -> None:
    r"""For $<<means>>$ and $<<radius>>$, dropping the second weight lowers $r_\infty$, $<<lower>>$, although
    $<<signs>>$ and the polynomial of {prf:ref}`cor-gaussian-cubic` is positive, $$<<polynomial>> :$$ here
    $<<after>>$.
    """


FACTOR_TWO = (
    (3, 1), (3, "1/2"), (1, 1), ("1/2", 1), ("6/5", "6/5"), (3, 2), (100, "17/10"), (3, 3), ("1/3", "5/2"),
    (3, "1/200"), (400, 2),
)  # fmt: skip
"""At, below and above the radius 1 and its double; equal weights, huge ones, a tiny one, either sign of z."""


@statement(
    "thm-gaussian-factor-two",
    kind="theorem",
    title="Below $\\epsilon$ always, above $2\\epsilon$ never",
    source="this book",
    status="kernel proved, glue argued",
    uses=("thm-gaussian-phase",),
    claims={
        "below": sp.Implies(sp.And(Z > 0, sp.Le(WEIGHT, EPS)), sp.Gt(Z_AFTER, Z)),
        "above": sp.Implies(sp.Ge(WEIGHT, 2 * EPS), sp.Lt(Z_AFTER, Z)),
    },
    cases=lambda: [phase_case(m) for m in FACTOR_TWO],
)
def factor_two(below: sp.Implies, above: sp.Implies) -> None:
    r"""Let $w = m_S$ and $0 < a < D$. Dropping the weight raises $r_\infty$ when it raises $z$.

    $$\text{(i)}\quad <<below>> . \qquad \text{(ii)}\quad <<above>> .$$

    (iii) Neither constant can be improved. So a support that is best among all supports, if its $z > 0$,
    contains every $|m_i| \ge 2\epsilon$ and no $m_i$ with $0 < |m_i| \le \epsilon$.
    """
    assert (below.args[1].lhs, above.args[1].lhs) == (Z_AFTER,) * 2
    d, z, h, b = sp.symbols("d z h b", positive=True)
    assert (d + z * T).is_positive  # (i): eps - a = d >= 0, and z tan(theta / 2) > 0 alone suffices
    # (ii) The other weights have l_1 norm at least their l_2 norm D', so z <= D - eps (a + D') / D.
    z_most = D - EPS * (DROPPED + KEPT) / D
    most = EPS - DROPPED + z_most * T
    size = {D: (2 * EPS + h) * (1 + T**2) / (2 * T)}  # a = 2 eps + h
    in_parts = -EPS * T * (1 - T) * (1 + T) ** 2 / (1 + T**2) - h * (1 - T**2) / 2
    assert sp.simplify((most.subs(size) - in_parts).subs(BELOW_ONE)) == 0
    for part in (in_parts.subs(h, 0), in_parts - in_parts.subs(h, 0)):
        assert sp.factor(-part.subs(BELOW_ONE)).is_positive
    # (iii) beside a huge weight b, dropping a = 2 eps - d helps: N'^2 D^2 - N^2 D'^2 > 0 for large b
    a = 2 * EPS - d
    square = (b - EPS) ** 2 * (a**2 + b**2) - (b**2 + a**2 - EPS * (a + b)) ** 2
    polynomial = sp.Poly(sp.expand(square), b)
    assert polynomial.degree() == 2
    assert sp.expand(polynomial.LC() - a * d) == 0  # a d > 0 while d < 2 eps
    # and of two equal weights a = eps + d, dropping one hurts: (a - eps) against sqrt(2) (a - eps)
    a = EPS + d
    assert sp.simplify((a**2 - EPS * a) / a - d) == 0
    assert sp.simplify((2 * a**2 - 2 * EPS * a) / (sp.sqrt(2) * a) - sp.sqrt(2) * d) == 0
