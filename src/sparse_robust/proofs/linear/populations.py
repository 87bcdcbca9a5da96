"""The distributions on which theorems about linear classifiers are tried: random ones and tight cases.

A bound that holds on random distributions may hold with room to spare; each population therefore contains the
distributions on which equality is attained, those where points lie on a boundary, and the counterexamples
of the book.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from sparse_robust.theory.laws import Binary, FiniteLaw, Multiclass, l1, random_law, random_vector, vector

BINARY = (-1, 1)
NEARLY = Fraction(999, 1000)
"""A radius, as a part of the one at which the bound is attained in the limit."""


class BinaryExample(NamedTuple):
    """A distribution on labels -1 and 1, a classifier and a radius."""

    law: FiniteLaw
    model: Binary
    eps: Fraction


class Example(NamedTuple):
    """A distribution on labels 0 .. c-1, a classifier and a radius."""

    law: FiniteLaw
    model: Multiclass
    eps: Fraction


def random_binary(seed: int, count: int = 40) -> Iterator[BinaryExample]:
    """Random examples with biases in exact rationals; both classes have a correctly classified point."""
    rng = random.Random(seed)
    while count:
        dimension = rng.randint(1, 4)
        law = random_law(rng, labels=BINARY, dimension=dimension, atoms=rng.randint(4, 9))
        model = Binary(random_vector(rng, dimension), Fraction(rng.randint(-6, 6), 2))
        right = {a.label for a in law.atoms if model.correct(a.label, a.x)}
        if l1(model.w) and right == set(BINARY):
            count -= 1
            yield BinaryExample(law, model, Fraction(rng.randint(1, 40), 10))


def tight_binary() -> Iterator[BinaryExample]:
    """Constant margins, with zero weights, a single pixel, a bias, ties before and after the attack."""
    model = Binary(vector([2, -1, 0]))  # margin 5 at every point, ||w||_1 = 3, and a weight that is zero
    points = [(2, 1, [3, 1, 7]), (1, 1, [1, -3, 0]), (3, -1, [-2, 1, -1])]
    yield BinaryExample(FiniteLaw.of(points), model, NEARLY * Fraction(5, 3))
    yield BinaryExample(FiniteLaw.of(points), model, Fraction(5, 3))  # every point is carried to a tie
    half_wrong = [*((1, y, x) for _, y, x in points[1:]), *((1, -y, x) for _, y, x in points[1:])]
    yield BinaryExample(FiniteLaw.of(half_wrong), model, NEARLY * Fraction(5, 3))
    pixel = Binary(vector([0, 3]))
    on_pixel = FiniteLaw.of([(1, 1, [4, 2]), (1, -1, [1, -2]), (1, -1, [1, 2]), (1, 1, [0, -2])])
    yield BinaryExample(on_pixel, pixel, NEARLY * 2)
    tied = FiniteLaw.of([(1, 1, [1, 1]), (1, 1, [3, 0]), (1, -1, [-1, 2]), (1, -1, [5, 5])])
    yield BinaryExample(tied, Binary(vector([1, -1])), Fraction(1))  # (1, 1) and (5, 5) lie on the boundary
    shifted = FiniteLaw.of([(1, 1, [3]), (1, -1, [-5])])
    yield BinaryExample(shifted, Binary(vector([1]), Fraction(1)), NEARLY * 4)


def random_multiclass(seed: int, count: int = 25, classes: int = 0) -> Iterator[Example]:
    """Random examples with biases in exact rationals; every class has a correctly classified point."""
    rng = random.Random(seed)
    while count:
        c, dimension = classes or rng.randint(2, 4), rng.randint(2, 3)
        model = Multiclass(
            tuple(random_vector(rng, dimension) for _ in range(c)),
            tuple(Fraction(rng.randint(-4, 4), 2) for _ in range(c)),
        )
        law = random_law(rng, labels=range(c), dimension=dimension, atoms=rng.randint(3 * c, 5 * c))
        if {a.label for a in law.atoms if model.correct(a.label, a.x)} == set(range(c)):
            count -= 1
            yield Example(law, model, Fraction(rng.randint(1, 30), 10))


def columns(*rows: tuple[object, ...], scale: Fraction = Fraction(1)) -> Multiclass:
    """The classifier whose weight matrix has these rows, as the paper writes W (column k is w_k)."""
    return Multiclass(tuple(tuple(scale * v for v in vector(column)) for column in zip(*rows, strict=True)))


def tight_multiclass() -> Iterator[Example]:
    """Two classes with a constant margin, one of them with wrong points; three, level at every boundary."""
    two = columns((1, -1), (0, 2))  # w_1 - w_2 = (2, -2), ||.||_1 = 4; margin 4 at the right points
    right = [(1, 0, [2, 0]), (1, 0, [3, 1]), (1, 1, [0, 2]), (1, 1, [-1, 1])]
    yield Example(FiniteLaw.of(right), two, NEARLY)
    yield Example(FiniteLaw.of(right), two, Fraction(1))  # every point is carried to a tie
    yield Example(FiniteLaw.of([*right, (4, 0, [-9, 0]), (4, 1, [9, 0])]), two, NEARLY)
    corner = columns((0, -1, 0), (0, 0, -1))  # of class 1, v_2 = (1, 0) and v_3 = (0, 1)
    level = [(1, 0, [1, 1]), (1, 1, [-3, 0]), (1, 2, [0, -3])]
    yield Example(FiniteLaw.of(level), corner, Fraction(1, 2))
    yield Example(FiniteLaw.of([*level, (1, 0, [0, 0])]), corner, Fraction(1))  # a tie of all three
    single = columns((2, 0, -2))  # one pixel, and a class without any weight
    yield Example(FiniteLaw.of([(1, 0, [1]), (1, 2, [-1]), (1, 1, [2])]), single, Fraction(1, 2))


WITHOUT_ONE = Example(
    FiniteLaw.of([(1, 0, (6, 2)), (1, 1, ("-1/10", "1/10")), (1, 2, (0, "-1/10"))]),
    columns((0, -2, 1), (0, 1, -10)),
    Fraction(3),
)
"""FGS fails where the weak step succeeds: assumption (I) is violated, (II) holds."""
WITHOUT_TWO = Example(
    FiniteLaw.of(
        [
            *((1, 0, x) for x in ((7, 6), ("1/100", "1/200"))),
            *((1, 1, x) for x in (("-1/100", "1/100"), ("1/100", "1/200"))),
            *((1, 2, x) for x in ((0, "-1/100"), (5, 5))),
        ]
    ),
    columns((0, -3, 0), (0, 4, -100), scale=Fraction(1, 600)),
    Fraction(5),
)
"""FGS corrects a misclassification: assumption (II) is violated, (I) holds."""
UNCONDITIONAL_ONE = Example(
    FiniteLaw.of(
        [
            *((1, 0, x) for x in (("3/2", "-5/2"), ("-1/2", -4))),
            *((1, 1, x) for x in (("-1/100", 0), (-4, 6))),
            *((1, 2, x) for x in ((0, "1/100"), (-6, -6))),
        ]
    ),
    columns((-3, -4, 3), (-4, -4, 1)),
    Fraction(1),
)
"""(I) holds over all points of each class, though not over the correctly classified ones; (II) holds."""
