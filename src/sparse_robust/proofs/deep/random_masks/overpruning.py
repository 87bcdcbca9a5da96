"""What random masks do to accuracy and margins: networks that are pruned too far."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import partial

import sympy as sp

from sparse_robust.proofs.formulas import Case
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.laws import FiniteLaw, vector
from sparse_robust.theory.lipschitz import lipschitz_power
from sparse_robust.theory.mask_bounds import path_norm, path_norm_bound
from sparse_robust.theory.mask_enumeration import (
    Masks,
    all_masks,
    cut_off,
    expectation,
    kept_sums,
    mask_shapes,
)
from sparse_robust.theory.masks import eta_star
from sparse_robust.theory.networks import Array, ReluNet, exact_net, fractions

from .cases import ONES, AllMasks, random_net
from .notation import ALPHA_OF, DEPTH, ETA_STAR, KEPT, PATH_NORM, by_layer

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

    def is_constant(self, masks: Masks) -> Fraction:
        """1 if no logit depends on the input under these masks."""
        return Fraction(all(lipschitz_power(body.masked(masks), q=1) == 0 for body in self.bodies))

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


ACCURACY = sp.Symbol(r"\mathbb{E}_M \Pr(\hat y = y)", real=True)
PRIOR = sp.Symbol(r"\max_k \Pr(y = k)", real=True)
CONSTANT_LOGITS = sp.Symbol(r"\Pr(\text{all logits constant})", real=True)


def certain() -> Classifier:
    """One input, one unit; class 0 at 2 and class 1 at 1, told apart by s(x), class 0 also by a bias."""
    one = fractions([[1]])
    law = FiniteLaw.of([(1, 0, vector([2])), (1, 1, vector([1]))])
    bodies = [ReluNet((one,), fractions([1])), ReluNet((one,), fractions([0]), (), Fraction(3, 2))]
    return Classifier(bodies, law)


def pruned_cases() -> list[Case]:
    """Mean accuracies of random classifiers, and of one that is always right until it is cut off."""
    cases: list[Case] = []
    for case in (certain(), random_classifier(0)):
        sums = kept_sums(case.shapes, case.accuracy)
        constant = kept_sums(case.shapes, case.is_constant)
        widths = case.bodies[0].widths
        for alpha in (Fraction(0), HALF, Fraction(9, 10), Fraction(1)):
            alphas = [alpha] * len(case.shapes)
            cases.append(
                {
                    ACCURACY: expectation(case.shapes, sums, alphas),
                    CONSTANT_LOGITS: expectation(case.shapes, constant, alphas),
                    ETA_STAR: eta_star(widths, alphas),
                    PRIOR: case.largest_prior(),
                }
            )
    return cases


@statement(
    "prop-overpruned",
    kind="proposition",
    title="A network that is cut off guesses",
    source="this book; paper, section 4.3",
    status="kernel proved, glue argued",
    uses=("lem-expectation", "lem-segment", "lem-all-paths", "lem-regions", "prop-percolation"),
    claims={
        "constant": sp.Ge(CONSTANT_LOGITS, ETA_STAR),
        "accuracy": sp.Le(ACCURACY, 1 - ETA_STAR * (1 - PRIOR)),
    },
    cases=pruned_cases,
)
def overpruned(accuracy: sp.Le, **_: sp.Basic) -> None:
    r"""Under random masks as in {prf:ref}`thm-a-recursion` $<<constant>>$. Hence, for every distribution of
    $(x, y)$, with or without biases,

    $$<<accuracy>> .$$
    """
    cut, prior = sp.symbols("cut prior", nonnegative=True)
    slack, less = sp.symbols("s1 s2", nonnegative=True)
    # accuracy at most 1 if connected; if cut off one class k is always predicted, or none: at most Pr(y = k)
    mean = (1 - cut) * (1 - slack) + cut * (prior - less)
    assert sp.expand(accuracy_bound(cut, prior) - mean - (1 - cut) * slack - cut * less) == 0
    assert sp.expand(accuracy.rhs - accuracy_bound(ETA_STAR, PRIOR)) == 0
    for seed in (0, 1):
        case = random_classifier(seed)
        for masks in filter(cut_off, all_masks(case.shapes)):
            assert case.accuracy(masks) <= case.largest_prior()


def margin_bound(lipschitz: sp.Expr, length: sp.Expr) -> sp.Expr:
    """The bound for |h(x)| from a Lipschitz constant and the length of x, as h(0) = 0."""
    return lipschitz * length


def margin_size(net: ReluNet, x: Array, masks: Masks) -> Fraction:
    """|h(x)| of the masked network."""
    return abs(Fraction(net.masked(masks)(x)))


OUTPUT, LENGTH_OF = sp.Symbol("h(x)", real=True), sp.Symbol(r"\lVert x \rVert_\infty", real=True)
AT_ZERO, MEAN_OUTPUT = sp.Symbol("h(0)", real=True), sp.Symbol(r"\mathbb{E} |h(x)|", real=True)


def margin_case(net: ReluNet, x: Array, alphas: list[Fraction]) -> Case:
    """Output, constant and path norm of a network, and the mean output over its masks."""
    depth, shapes = len(net.widths), mask_shapes(net)
    return {
        DEPTH: depth,
        ALPHA_OF: by_layer(depth, alphas),
        AT_ZERO: net(0 * x),
        OUTPUT: net(x),
        LENGTH_OF: max(abs(x)),
        GLOBAL_L: lipschitz_power(net, q=1),
        PATH_NORM: path_norm(net),
        MEAN_OUTPUT: expectation(shapes, kept_sums(shapes, partial(margin_size, net, x)), alphas),
    }


GLOBAL_L = sp.Symbol("L_1", real=True)


def margin_cases() -> list[Case]:
    """Random networks without biases, at random points, and one path of weights 1."""
    rng = random.Random(78)
    cases = [margin_case(ONES, fractions([2]), [HALF, Fraction(1, 3)])]
    for widths in ((2, 2, 2), (3, 2), (3, 2)):
        net = random_net(rng, widths)
        x = fractions([rng.randint(-4, 4) for _ in range(widths[0])])
        cases.append(margin_case(net, x, [Fraction(1, 3)] * (len(widths) - 1)))
    return cases


def biased() -> Case:
    """h(x) = s(x + 5) at x = 1."""
    return margin_case(exact_net([[[1]]], [1], [[5]]), fractions([1]), [HALF])


@statement(
    "prop-margins-vanish",
    kind="proposition",
    title="Margins vanish together with Lipschitz constants",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-expectation", "lem-regions", "lem-all-paths", "thm-b-path-norm"),
    hypotheses={"zero": sp.Eq(AT_ZERO, 0)},
    without={"zero": biased},
    claims={
        "each": sp.Le(sp.Abs(OUTPUT), GLOBAL_L * LENGTH_OF),
        "mean": sp.Le(MEAN_OUTPUT, LENGTH_OF * KEPT * PATH_NORM),
    },
    cases=margin_cases,
)
def margins_vanish(each: sp.Le, mean: sp.Le) -> None:
    r"""Without biases $<<zero>>$, so that $<<each>>$ for every $x$, with the Lipschitz constant on
    $\mathbb{R}^n$, and likewise for other pairs of norms. Under random masks

    $$<<mean>> .$$

    The bound for $\mathbb{E} L_q$ of {prf:ref}`thm-b-path-norm` bounds the mean margin too: sparsity that
    makes it small makes the margin small. The margin may fall faster; this is an upper bound.
    """
    constant, length, less, more = sp.symbols("L x s t", nonnegative=True)
    # |h(x)| = |h(x) - h(0)| is L ||x|| less some s, and the path norm is L plus some t, under every mask; a
    # mean keeps both inequalities, and Theorem B knows that of the path norm
    assert (margin_bound(constant, length) - (constant * length - less)).expand().is_nonnegative
    assert (margin_bound(constant + more, length) - margin_bound(constant, length)).expand().is_nonnegative
    assert each.rhs == margin_bound(GLOBAL_L, LENGTH_OF)
    assert mean.rhs == margin_bound(KEPT * PATH_NORM, LENGTH_OF)
    for net, alphas in ((random_net(random.Random(78), (3, 2)), [Fraction(1, 3)]),):  # what chapters call
        assert AllMasks(net).mean(alphas).l_1 <= path_norm_bound(net, alphas)
