"""Theorem D: spectral norms of random masks, by a bound for sums of random matrices."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import cache, partial
from typing import Any

import numpy as np
import sympy as sp

from sparse_robust.proofs.deep.written import ALPHA
from sparse_robust.proofs.formulas import Case, evaluate, operator, root
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.mask_bounds import bernstein_bound
from sparse_robust.theory.mask_enumeration import Masks, all_masks, expectation, kept_sums
from sparse_robust.theory.networks import Array, exact_net, float_net

from .cases import AllMasks, random_net
from .norms import spectral_squared
from .notation import DEPTH, J

MATRIX = sp.Symbol("W'")
LARGEST, NU, LOG = sp.symbols(r"w \nu \ell", nonnegative=True)
ROWS, COLUMNS = sp.symbols("n m", integer=True, positive=True)
DENSE = sp.Symbol(r"\lVert W' \rVert_2", nonnegative=True)
MEAN = sp.Symbol(r"\mathbb{E} \lVert W' \circ M \rVert_2", nonnegative=True)
MEAN_L_2, READOUT = (
    sp.Symbol(r"\mathbb{E} L_2", nonnegative=True),
    sp.Symbol(r"\lVert c \rVert_2", nonnegative=True),
)
LAYER = sp.IndexedBase("b", nonnegative=True)
ENTRY = operator("LargestEntry", r"\max_{{i, u}} |{0}[i, u]|", lambda w: Fraction(abs(w).max()))
LINE = operator(
    "LongestLine",
    r"\max \bigl\{{ \max_i \textstyle\sum_u {0}[i, u]^2, \max_u \sum_i {0}[i, u]^2 \bigr\}}",
    lambda w: max(Fraction((w**2).sum(axis).max()) for axis in (0, 1)),
)
BOUND = (
    (1 - ALPHA) * DENSE
    + root(2 * ALPHA * (1 - ALPHA) * NU * LOG)
    + sp.Max(ALPHA, 1 - ALPHA) * LARGEST * LOG / 3
)


def spectral_norm(weight: Array, masks: Masks) -> float:
    """||W * M||_2 for the one mask given, in floating point."""
    return float(np.linalg.norm(weight * masks[0], 2))


def layer_case(weight: Array, alpha: Fraction, dense: Any, mean: Any, *, readout: Any, mean_l: Any) -> Case:
    """One matrix with the spectral norms of itself and of its masks, as the layer of a network."""
    rows, columns = weight.shape
    case = {
        MATRIX: weight,
        ALPHA: alpha,
        LARGEST: ENTRY.value(weight),
        NU: LINE.value(weight),
        ROWS: rows,
        COLUMNS: columns,
        LOG: sp.log(rows + columns),
        DENSE: dense,
        MEAN: mean,
        DEPTH: 2,
        READOUT: readout,
        MEAN_L_2: mean_l,
    }
    return {**case, LAYER: {1: evaluate(BOUND, case)}}


def nothing_is_random(side: int) -> Case:
    """A matrix of ones, of rank one, that is not masked: W' 1 = side 1."""
    ones = np.full((side, side), 1, dtype=object)
    image = ones @ ones[0]
    length, stretched = (sp.sqrt(int((v**2).sum())) for v in (ones[0], image))
    norm = stretched / length
    return layer_case(ones, Fraction(0), norm, norm, readout=length, mean_l=stretched)


def all_masks_case(scale: Fraction, alpha: Fraction) -> Case:
    """The 2 x 2 matrix of equal entries under all of its masks, exactly."""
    net = exact_net([[[scale, scale]] * 2], [1, 1])
    (weight,) = net.weights
    norms = {
        masks[0].tobytes(): (masks[0].sum(), sp.sqrt(spectral_squared(sp.Matrix(weight * masks[0]))))
        for masks in all_masks([weight.shape])
    }
    mean = sum((1 - alpha) ** int(k) * alpha ** (4 - int(k)) * norm for k, norm in norms.values())
    dense = sp.sqrt(spectral_squared(sp.Matrix(weight)))
    mean_l = AllMasks(net, None).mean([alpha]).l_2
    return layer_case(weight, alpha, dense, mean, readout=sp.sqrt(2), mean_l=mean_l)


@cache
def bernstein_cases() -> list[Case]:
    """Nothing masked, where only the first term counts; half masked, with entries 1 and small ones."""
    half = Fraction(1, 2)
    sizes = (Fraction(1), Fraction(1, 100))
    return [nothing_is_random(300), *(all_masks_case(scale, half) for scale in sizes)]


@statement(
    "thm-d-bernstein",
    kind="theorem",
    title="Theorem D: spectral norms by matrix Bernstein",
    source="Tropp 2015, theorem 1.6.2, applied to masks",
    status="cited",
    uses=("lem-3-1-repaired",),
    claims={
        "largest": sp.Eq(LARGEST, ENTRY(MATRIX)),
        "nu": sp.Eq(NU, LINE(MATRIX)),
        "log": sp.Eq(LOG, sp.log(ROWS + COLUMNS)),
        "norm": sp.Le(MEAN, BOUND),
        "network": sp.Le(MEAN_L_2, READOUT * sp.Product(LAYER[J], (J, 1, DEPTH - 1))),
    },
    cases=bernstein_cases,
)
def theorem_d(**_: sp.Basic) -> None:
    r"""For an $n \times m$ matrix $W'$ let $<<largest>>$,

    $$<<nu>>,$$

    and $<<log>>$. For a mask with sparsity $0 \le \alpha \le 1$

    $$<<norm>> .$$

    With $b_j$ for the right side in layer $j$,

    $$<<network>>,$$

    as the layers are independent. Where $\alpha$ is 0 or 1 nothing is random, and $(1 - \alpha) \lVert W'
    \rVert_2$ is the norm itself.
    """
    rng = random.Random(76)
    for shape in ((2, 2), (3, 3), (2, 4)):
        net = random_net(rng, shape)
        single = float_net([net.weights[0].astype(float)], np.eye(1, shape[1])[0])  # readout of length 1
        sums = kept_sums([shape], partial(spectral_norm, single.weights[0]))
        for alpha in (0.0, 0.05, 0.3, 0.5, 0.9, 1.0):
            assert expectation([shape], sums, [alpha]) <= bernstein_bound(single, [alpha]) + 1e-12
