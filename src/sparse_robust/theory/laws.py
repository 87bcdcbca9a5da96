"""Finite laws in exact rational arithmetic: the ground on which the linear theorems are tested.

A finite law puts rational mass on finitely many labelled points; a test set is one. On a finite law
every quantity of Theorems 3.1 and 3.2 except a Euclidean norm is a rational number, and inequalities
between ratios with Euclidean norms become rational once squared, so that nothing here is rounded.

A tie counts as a misclassification throughout, because the paper asks for ``y = sgn(w.x)`` and sgn(0) = 0.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import isqrt
from typing import Literal

from mpmath.ctx_iv import MPIntervalContext

_INTERVALS = MPIntervalContext()

Vector = tuple[Fraction, ...]
Event = Callable[[int, Vector], bool]
Dual = Literal["1", "2", "inf"]
"""Which norm measures weights: the dual of the norm that measures perturbations (1 for l_inf)."""


@dataclass(frozen=True)
class Atom:
    """Mass on one labelled point."""

    mass: Fraction
    label: int
    x: Vector


@dataclass(frozen=True)
class FiniteLaw:
    """A probability law of (y, x) with finitely many outcomes.

    Raises:
        ValueError: if a mass is negative or the masses do not sum to one.
    """

    atoms: tuple[Atom, ...]

    def __post_init__(self) -> None:
        if any(a.mass < 0 for a in self.atoms) or sum(a.mass for a in self.atoms) != 1:
            raise ValueError("a law needs masses >= 0 that sum to exactly 1; use FiniteLaw.of to normalise")

    @classmethod
    def of(cls, outcomes: Iterable[tuple[object, int, Sequence[object]]]) -> FiniteLaw:
        """The law with these (mass, label, x), masses scaled to sum to one."""
        atoms = [Atom(Fraction(str(m)), y, vector(x)) for m, y, x in outcomes]
        total = sum((a.mass for a in atoms), Fraction(0))
        if total <= 0:
            raise ValueError("a law needs some mass; every mass given is zero")
        return cls(tuple(Atom(a.mass / total, a.label, a.x) for a in atoms))

    @property
    def labels(self) -> tuple[int, ...]:
        """The labels that occur, sorted."""
        return tuple(sorted({a.label for a in self.atoms}))

    def expect(self, f: Callable[[int, Vector], Fraction | int]) -> Fraction:
        """E f(y, x)."""
        return sum((a.mass * f(a.label, a.x) for a in self.atoms), Fraction(0))

    def probability(self, event: Event) -> Fraction:
        """Pr(event)."""
        return self.expect(lambda y, x: int(event(y, x)))

    def given(self, event: Event) -> FiniteLaw:
        """The conditional law.

        Raises:
            ValueError: if the event has probability zero.
        """
        kept = [(a.mass, a.label, a.x) for a in self.atoms if a.mass and event(a.label, a.x)]
        if not kept:
            raise ValueError("cannot condition on an event of probability zero")
        return FiniteLaw.of(kept)

    def mean(self) -> Vector:
        """E x."""
        dimension = len(self.atoms[0].x)
        return tuple(sum((a.mass * a.x[i] for a in self.atoms), Fraction(0)) for i in range(dimension))

    def balanced(self, correct: Event, accuracy: Fraction) -> FiniteLaw:
        """The same points, reweighted to equal priors and equal per-class accuracy.

        These are the assumptions of both theorems, and every finite law that meets them arises so.

        Raises:
            ValueError: if a class lacks correct points, or misclassified ones where accuracy < 1.
        """
        atoms: list[Atom] = []
        for k in self.labels:
            for is_right, share in ((True, accuracy), (False, 1 - accuracy)):
                group = [a for a in self.atoms if a.label == k and correct(a.label, a.x) == is_right]
                mass = sum((a.mass for a in group), Fraction(0))
                if share and not mass:
                    raise ValueError(f"class {k} has no {'correct' if is_right else 'misclassified'} point")
                scale = share / len(self.labels) / mass if share else Fraction(0)
                atoms += [Atom(a.mass * scale, k, a.x) for a in group]
        return FiniteLaw(tuple(a for a in atoms if a.mass))


@dataclass(frozen=True)
class Binary:
    """The classifier sgn(w.x + b) on labels -1 and +1."""

    w: Vector
    b: Fraction = Fraction(0)

    def margin(self, y: int, x: Vector) -> Fraction:
        """The signed score y (w.x + b): positive exactly where the prediction is right."""
        return y * (dot(self.w, x) + self.b)

    def correct(self, y: int, x: Vector) -> bool:
        """Whether sgn(w.x + b) = y; a tie is wrong."""
        return self.margin(y, x) > 0

    def correct_as(self, k: int) -> Event:
        """The event y = yhat = k."""
        return lambda y, x: y == k and self.correct(y, x)

    def margin_above(self, level: Fraction) -> Event:
        """The event that the signed score exceeds ``level``."""
        return lambda y, x: self.margin(y, x) > level

    def attacked(self, y: int, x: Vector, eps: Fraction) -> Vector:
        """The FGS adversarial example x - eps y sgn(w)."""
        return tuple(xi - eps * y * sign(wi) for xi, wi in zip(x, self.w, strict=True))

    def r_inf(self, law: FiniteLaw, eps: Fraction) -> Fraction:
        """The accuracy under FGS, from the definition, equation (1)."""
        return law.probability(lambda y, x: self.correct(y, self.attacked(y, x, eps)))

    def r_2_times_norm(self, law: FiniteLaw) -> Fraction:
        """r_2 ||w||_2 = E 1[y = yhat] |w.x + b|, from the definition, equation (1)."""
        return law.expect(lambda y, x: self.correct(y, x) * abs(dot(self.w, x) + self.b))


@dataclass(frozen=True)
class Multiclass:
    """The classifier argmax_k (w_k.x + b_k) on labels 0 .. c-1; ``rows[k]`` is the paper's column w_k."""

    rows: tuple[Vector, ...]
    biases: Vector = ()

    def bias(self, k: int) -> Fraction:
        """b_k, zero where no biases were given."""
        return self.biases[k] if self.biases else Fraction(0)

    def scores(self, x: Vector) -> Vector:
        """All w_k.x + b_k."""
        return tuple(dot(w, x) + self.bias(k) for k, w in enumerate(self.rows))

    def rivals(self, k: int) -> list[tuple[Vector, Fraction]]:
        """(v_e, b_k - b_e) with v_e = w_k - w_e, for each rival class e != k."""
        return [
            (minus(self.rows[k], w), self.bias(k) - self.bias(e)) for e, w in enumerate(self.rows) if e != k
        ]

    def centred(self, k: int) -> tuple[Vector, Fraction]:
        """(w_k - wbar, b_k - bbar)."""
        c = len(self.rows)
        mean = tuple(sum(column, Fraction(0)) / c for column in zip(*self.rows, strict=True))
        return minus(self.rows[k], mean), self.bias(k) - sum(map(self.bias, range(c)), Fraction(0)) / c

    def correct(self, y: int, x: Vector) -> bool:
        """Whether class y alone has the largest score; a tie is wrong."""
        return all(dot(v, x) + beta > 0 for v, beta in self.rivals(y))

    def correct_as(self, k: int) -> Event:
        """The event y = yhat = k."""
        return lambda y, x: y == k and self.correct(y, x)

    def attacked(self, y: int, x: Vector, eps: Fraction) -> Vector:
        """The FGS example x + eps sgn(grad of the cross-entropy at x), exact.

        The gradient is proportional to sum_e exp(z_e) (w_e - w_y); ``exp_sum_sign`` decides each sign.
        """
        return tuple(xi + eps * s for xi, s in zip(x, _gradient_signs(self, y, x), strict=True))

    def weakly_attacked(self, y: int, x: Vector, eps: Fraction) -> Vector:
        """The weaker example x - eps sgn(w_y - wbar) of assumption (I)."""
        return tuple(xi - eps * sign(u) for xi, u in zip(x, self.centred(y)[0], strict=True))

    def r_inf(self, law: FiniteLaw, eps: Fraction) -> Fraction:
        """The accuracy under FGS, from the definition, equation (5)."""
        return law.probability(lambda y, x: self.correct(y, self.attacked(y, x, eps)))


@lru_cache(maxsize=10_000)
def _gradient_signs(model: Multiclass, y: int, x: Vector) -> tuple[int, ...]:
    z = model.scores(x)
    return tuple(
        exp_sum_sign([(w[i] - model.rows[y][i], ze) for w, ze in zip(model.rows, z, strict=True)])
        for i in range(len(x))
    )


def vector(xs: Iterable[object]) -> Vector:
    """Exact rationals from ints, fractions or decimal strings."""
    return tuple(Fraction(str(x)) for x in xs)


def dot(a: Vector, b: Vector) -> Fraction:
    """a.b."""
    return sum((p * q for p, q in zip(a, b, strict=True)), Fraction(0))


def minus(a: Vector, b: Vector) -> Vector:
    """a - b."""
    return tuple(p - q for p, q in zip(a, b, strict=True))


def sign(a: Fraction) -> int:
    """-1, 0 or 1."""
    return (a > 0) - (a < 0)


def l1(a: Vector) -> Fraction:
    """||a||_1."""
    return sum(map(abs, a), Fraction(0))


def l2_squared(a: Vector) -> Fraction:
    """||a||_2^2."""
    return dot(a, a)


def ratio(score: Fraction, v: Vector, dual: Dual) -> Fraction:
    """score / ||v||, exact and comparable: for the Euclidean norm its signed square.

    The map r -> r |r| is strictly increasing, so comparing signed squares compares the ratios.
    """
    if dual == "1":
        return score / l1(v)
    if dual == "inf":
        return score / max(map(abs, v))
    return score * abs(score) / l2_squared(v)


def sqrt_bounds(a: Fraction, digits: int = 50) -> tuple[Fraction, Fraction]:
    """Rationals lo <= sqrt(a) <= hi that differ by 10^-digits (by nothing where sqrt(a) is rational)."""
    p, q = isqrt(a.numerator), isqrt(a.denominator)
    if p * p == a.numerator and q * q == a.denominator:
        return Fraction(p, q), Fraction(p, q)
    scale = 10**digits
    floor = isqrt(a.numerator * scale * scale // a.denominator)
    return Fraction(floor, scale), Fraction(floor + 1, scale)


def exp_sum_sign(terms: Iterable[tuple[Fraction, Fraction]]) -> int:
    """The sign of sum_i a_i exp(z_i) for rational a_i and z_i, decided, not estimated.

    Exponentials of distinct rationals are linearly independent over the rationals
    (Lindemann-Weierstrass), so the sum is zero only if its coefficients cancel exponent by exponent;
    otherwise interval arithmetic of growing precision must separate it from zero.
    """
    by_exponent: dict[Fraction, Fraction] = {}
    for a, z in terms:
        by_exponent[z] = by_exponent.get(z, Fraction(0)) + a
    left = {z: a for z, a in by_exponent.items() if a}
    if not left:
        return 0
    top = max(left)
    _INTERVALS.prec = 64
    while True:
        total = _INTERVALS.mpf(0)
        for z, a in left.items():
            power = _INTERVALS.exp(_INTERVALS.mpf((z - top).numerator) / (z - top).denominator)
            total += _INTERVALS.mpf(a.numerator) / a.denominator * power
        if total.a > 0 or total.b < 0:
            return 1 if total.a > 0 else -1
        _INTERVALS.prec *= 2


def random_law(rng: random.Random, *, labels: Sequence[int], dimension: int, atoms: int) -> FiniteLaw:
    """A law with ``atoms`` random points, small rational coordinates, each label at least once."""
    return FiniteLaw.of(
        (rng.randint(1, 9), labels[i % len(labels)], random_vector(rng, dimension)) for i in range(atoms)
    )


def random_vector(rng: random.Random, dimension: int) -> Vector:
    """Small random rational coordinates, zero one time in six."""
    return tuple(
        Fraction(0) if rng.random() < 1 / 6 else Fraction(rng.randint(-20, 20), rng.randint(1, 6))
        for _ in range(dimension)
    )
