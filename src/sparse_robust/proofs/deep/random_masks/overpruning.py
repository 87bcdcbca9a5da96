"""What random masks do to accuracy and margins: networks that are pruned too far."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import partial

import sympy as sp

from sparse_robust.proofs.statement import statement
from sparse_robust.theory.laws import FiniteLaw, vector
from sparse_robust.theory.lipschitz import lipschitz_power
from sparse_robust.theory.mask_bounds import path_norm_bound
from sparse_robust.theory.mask_enumeration import (
    Masks,
    all_masks,
    cut_off,
    expectation,
    kept_sums,
    mask_shapes,
)
from sparse_robust.theory.masks import eta_star
from sparse_robust.theory.networks import Array, ReluNet, fractions

from .cases import AllMasks, random_net

HALF = Fraction(1, 2)


def accuracy_bound(cut: sp.Expr, largest_prior: sp.Expr) -> sp.Expr:
    """What is left if a cut-off network is right on one class at most."""
    return 1 - cut * (1 - largest_prior)


class Classifier:
    """A masked network with several logits, on a finite law; a tie counts as a mistake.

    Args:
        bodies: one network for each logit, which share their hidden layers.
        law: labels 0, 1, ...
    """

    def __init__(self, bodies: list[ReluNet], law: FiniteLaw) -> None:
        self.bodies, self.law, self.shapes = bodies, law, mask_shapes(bodies[0])

    def accuracy(self, masks: Masks) -> Fraction:
        """Pr(yhat = y) under these masks."""
        nets = [body.masked(masks) for body in self.bodies]

        def correct(label: int, x: tuple[Fraction, ...]) -> bool:
            scores = [net(fractions(x)) for net in nets]
            return all(scores[label] > s for k, s in enumerate(scores) if k != label)

        return self.law.probability(correct)

    def largest_prior(self) -> Fraction:
        """max_k P(y = k)."""
        priors: dict[int, Fraction] = {}
        for atom in self.law.atoms:
            priors[atom.label] = priors.get(atom.label, Fraction(0)) + atom.mass
        return max(priors.values())


def random_classifier(seed: int) -> Classifier:
    """Three classes, widths 2, 2, 2, biases in every layer, and a law on six points."""
    rng = random.Random(seed)
    body = random_net(rng, (2, 2, 2), biases=True)
    bodies = [
        ReluNet(
            body.weights, fractions([rng.randint(-4, 4) for _ in range(2)]), body.biases, rng.randint(-3, 3)
        )
        for _ in range(3)
    ]
    atoms = [(rng.randint(1, 5), k % 3, [rng.randint(-3, 3), rng.randint(-3, 3)]) for k in range(6)]
    return Classifier(bodies, FiniteLaw.of((m, k, vector(x)) for m, k, x in atoms))


@statement(
    "prop-overpruned",
    kind="proposition",
    title="A network that is cut off guesses",
    source="this book; paper, section 4.3",
    status="kernel proved, glue argued",
    uses=("lem-expectation", "lem-segment", "lem-all-paths", "prop-percolation"),
)
def overpruned() -> None:
    r"""Under random masks as in {prf:ref}`thm-a-recursion`, all logits are constant with probability at least
    $\eta^*$. Hence, for every distribution of $(x, y)$, with or without biases,

    $$\mathbb{E}_M \Pr(\hat y = y) \le 1 - \eta^* \bigl(1 - \max_k \Pr(y = k)\bigr) .$$
    """
    cut, prior = sp.symbols("cut prior", nonnegative=True)
    slack, less = sp.symbols("s1 s2", nonnegative=True)
    # accuracy at most 1 if connected; if cut off one class k is always predicted, or none: at most Pr(y = k)
    mean = (1 - cut) * (1 - slack) + cut * (prior - less)
    gap = sp.expand(accuracy_bound(cut, prior) - mean - (1 - cut) * slack - cut * less)
    assert gap == 0
    for seed in (0, 1):
        case = random_classifier(seed)
        sums = kept_sums(case.shapes, case.accuracy)
        for alphas in ([HALF, HALF], [Fraction(4, 5), Fraction(9, 10)], [Fraction(1), HALF]):
            bound = accuracy_bound(eta_star((2, 2, 2), alphas), case.largest_prior())
            assert expectation(case.shapes, sums, alphas) <= bound
        for masks in filter(cut_off, all_masks(case.shapes)):
            assert case.accuracy(masks) <= case.largest_prior()


def margin_bound(lipschitz: sp.Expr, length: sp.Expr) -> sp.Expr:
    """The bound for |h(x)| from a Lipschitz constant and the length of x, as h(0) = 0."""
    return lipschitz * length


def margin_size(net: ReluNet, x: Array, masks: Masks) -> Fraction:
    """|h(x)| of the masked network."""
    return abs(Fraction(net.masked(masks)(x)))


@statement(
    "prop-margins-vanish",
    kind="proposition",
    title="Margins vanish together with Lipschitz constants",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-expectation", "lem-regions", "lem-all-paths", "thm-b-path-norm"),
)
def margins_vanish() -> None:
    r"""Without biases $h(0) = 0$, so that $|h(x)| \le L_q \lVert x \rVert_p$ for every $x$, with the
    Lipschitz constant on $\mathbb{R}^n$, and under random masks

    $$\mathbb{E} |h(x)| \le \lVert x \rVert_\infty \prod_j (1 - \alpha_j)\, \mathrm{PN} .$$

    The bound for $\mathbb{E} L_q$ of {prf:ref}`thm-b-path-norm` bounds the mean margin too: sparsity that
    makes it small makes the margin small. The margin may fall faster; this is an upper bound.
    """
    constant, length, less, more = sp.symbols("L x s t", nonnegative=True)
    # |h(x)| = |h(x) - h(0)| is L ||x|| less some s, and the path norm is L plus some t, under every mask; a
    # mean keeps both inequalities, and Theorem B knows that of the path norm
    assert (margin_bound(constant, length) - (constant * length - less)).expand().is_nonnegative
    assert (margin_bound(constant + more, length) - margin_bound(constant, length)).expand().is_nonnegative
    rng = random.Random(78)
    for widths in ((2, 2, 2), (3, 2)):
        net = random_net(rng, widths)
        x = fractions([rng.randint(-4, 4) for _ in range(widths[0])])
        assert net(0 * x) == 0
        assert abs(net(x)) <= lipschitz_power(net, q=1) * max(abs(x))
        alphas = [Fraction(1, 3)] * (len(widths) - 1)
        shapes = mask_shapes(net)
        sums = kept_sums(shapes, partial(margin_size, net, x))
        mean = expectation(shapes, sums, alphas)
        assert (
            mean <= AllMasks(net).mean(alphas).l_1 * max(abs(x)) <= max(abs(x)) * path_norm_bound(net, alphas)
        )
