"""Robust or not: an attack first, then bounds, then the solver for what is still open."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor, nn

from sparse_robust.attacks import AttackResult, fast_gradient_sign
from sparse_robust.types import Box, LogitsFn

from .crown import Ascent, crown_bounds, margin_bounds
from .milp import TOLERANCE, Answer, Solver, program, solve
from .neighbourhood import Neighbourhood
from .network import Stages, compact, is_dense, stages

BATCH = 20
"""Images whose bounds are computed at once: enough to fill a core, few enough to stay in cache."""

ASCENT, SOLVER = Ascent(), Solver()
"""By default 20 steps of ascent, and 30 seconds an image."""

Attack = Callable[[LogitsFn, Tensor, Tensor, float, Box], AttackResult]
"""(logits_fn, x [N, D], y [N], eps, box) -> what an attack of radius eps in l_inf found."""


def one_step(logits_fn: LogitsFn, x: Tensor, y: Tensor, eps: float, box: Box) -> AttackResult:
    """The fast gradient sign method as an :data:`Attack`."""
    return fast_gradient_sign(logits_fn, x, y, eps=eps, box=box)


@dataclass(frozen=True, eq=False)
class Decisions:
    """What is known of N images at one radius; one that is neither robust nor attacked is open.

    Attributes:
        robust: bool ``[N]``, no input within reach is misclassified.
        attacked: bool ``[N]``, ``x_adv`` is within reach and the network itself misclassifies it; with no
            perturbation where it misclassifies the image.
        x_adv: ``[N, D]``, of the images' type; the image itself where there is no attack.
        bound: float64 ``[N]``, a lower bound for the lead of the class over the neighbourhood, above 0 where
            robust; minus infinity where the attack alone decided.
        unstable: int64 ``[N]``, ReLUs that may be in either state by CROWN's bounds.
        by_solver: bool ``[N]``, whether the solver was asked.
        solver_seconds: float64 ``[N]``, its CPU time, that of its tighter bounds included; else 0.
        nodes: int64 ``[N]``, of the solver's trees.
    """

    robust: Tensor
    attacked: Tensor
    x_adv: Tensor
    bound: Tensor
    unstable: Tensor
    by_solver: Tensor
    solver_seconds: Tensor
    nodes: Tensor

    @property
    def open(self) -> Tensor:
        """bool ``[N]``."""
        return ~(self.robust | self.attacked)


def decide(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    box: Box = (0.0, 1.0),
    attack: Attack = one_step,
    ascent: Ascent = ASCENT,
    solver: Solver | None = SOLVER,
    progress: Callable[[int], object] = lambda images: None,
) -> Decisions:
    """Robust, attacked or open, for every image and one radius in l_inf.

    Robust is a statement about the function that the weights define in real arithmetic, for all real inputs
    within ``eps`` of the image and in the box, and a tie of two classes counts as lost. By bounds it is
    proved, rounding included; by the solver it is as certain as HiGHS, whose tolerances are kept away from 0
    by :data:`~.milp.TOLERANCE`. Attacked is a statement about the network as it runs: it misclassifies
    ``x_adv``.

    Args:
        model: a LeNet-300-100 or a LeNet-5 with one replica, see :func:`~.network.replica`.
        x: ``[N, D]``, floating point, in the box.
        y: the true classes ``[N]``.
        eps: l_inf radius in pixel units, at least 0.
        box: (low, high) or None.
        attack: is tried first.
        ascent: of the slopes of CROWN.
        solver: limits for each image, over all its rivals; None for bounds and attack alone, which is all
            that convolutions can have.
        progress: called with 1 for each image.

    Raises:
        ValueError: if there is no image, shapes disagree, eps is negative, x leaves the box, or a solver is
            asked for a network with convolutions.
    """
    if not len(x):
        raise ValueError("give at least one image")
    if eps < 0:
        raise ValueError(f"eps must be at least 0, got {eps}")
    layers, read = compact(stages(model))
    if solver is not None and not is_dense(layers):
        raise ValueError("the solver decides perceptrons alone: give solver=None for convolutions")
    logits = lone_logits(model)
    radius = torch.full((len(x),), eps, dtype=torch.float64)
    whole = Neighbourhood(x.detach().double(), radius, inf, box)
    guess = inside(whole, attack(logits, x, y, eps, box).x_adv)
    wrong, flipped = misclassified(logits, x, y), misclassified(logits, guess, y)
    x_adv = torch.where((flipped & ~wrong)[:, None], guess, x)
    attacked = wrong | flipped
    around = Neighbourhood(whole.centre[:, read], radius, inf, box)
    unstable, bound = certified(layers, around, y, ~attacked, ascent)
    robust = bound > 0
    by_solver = torch.zeros_like(attacked)
    if solver is not None:
        most = inf if solver.unstable is None else solver.unstable
        by_solver = ~(attacked | robust) & (unstable <= most)
    seconds, nodes = torch.zeros_like(radius), torch.zeros_like(unstable)
    for n in range(len(x)):
        if solver is not None and by_solver[n]:
            start, image = time.process_time(), torch.tensor([n])
            answer = _search(layers, around.part(image), int(y[n]), guess[n, read], ascent, solver)
            if answer.point is not None:
                candidate = x[image].double()
                candidate[:, read] = answer.point
                candidate = inside(whole.part(image), candidate.to(x.dtype))
                attacked[n] = misclassified(logits, candidate, y[image])[0]
                x_adv[n] = candidate[0] if attacked[n] else x[n]
            robust[n], bound[n], nodes[n] = answer.robust, answer.bound, answer.nodes
            seconds[n] = time.process_time() - start
        progress(1)
    return Decisions(robust, attacked, x_adv, bound, unstable, by_solver, seconds, nodes)


def certified(
    layers: Stages, around: Neighbourhood, y: Tensor, asked: Tensor, ascent: Ascent
) -> tuple[Tensor, Tensor]:
    """What bounds say: unstable ReLUs, int64 ``[N]``, and a lower bound of the lead of y, ``[N]``.

    Args:
        layers: of the network.
        around: the neighbourhoods.
        y: the classes ``[N]``.
        asked: bool ``[N]``; the bound of the others is minus infinity.
        ascent: of the slopes for the lead; the layers before are bounded by the slopes of CROWN.
    """
    counts, bound = [], torch.full((len(y),), -inf, dtype=torch.float64)
    for part in torch.arange(len(y)).split(BATCH):
        known, chosen = crown_bounds(layers, around.part(part)), asked[part]
        counts.append(known.unstable(layers))
        todo = part[chosen]
        if len(todo):
            leads = margin_bounds(layers, around.part(todo), known.part(chosen), y[todo], ascent)
            bound[todo] = leads.amin(1)
    return torch.cat(counts), bound


@dataclass(frozen=True, eq=False)
class _Found:
    """What the solver found for one image."""

    robust: bool
    point: Tensor | None
    bound: float
    nodes: int


def _search(
    layers: Stages, around: Neighbourhood, y: int, guess: Tensor, ascent: Ascent, solver: Solver
) -> _Found:
    """The solver on every rival that the best bounds leave, the nearest first, within one image's limits.

    Args:
        layers: of the network, without what it does not read.
        around: of the one image.
        y: its class.
        guess: an input ``[read]`` whose activation region is searched first.
        ascent: of the slopes, now for every unit by itself.
        solver: limits for all rivals together.
    """
    begun = time.process_time()
    known = crown_bounds(layers, around, ascent)
    leads = margin_bounds(layers, around, known, torch.tensor([y]), ascent)[0]
    problem = program(layers, around, known)
    first, nodes = problem.states(layers, guess.double()), 0
    for rival in leads.argsort().tolist():
        if leads[rival] > 0:
            break
        outcome = solve(problem, y, rival, solver.left(time.process_time() - begun, nodes), first)
        nodes += outcome.nodes
        leads[rival] = max(float(leads[rival]), outcome.bound)
        if outcome.answer is not Answer.INFEASIBLE:
            point = None if outcome.point is None else torch.from_numpy(outcome.point)
            return _Found(False, point, float(leads.min()), nodes)
    return _Found(True, None, min(float(leads.min()), TOLERANCE), nodes)


def lone_logits(model: nn.Module) -> LogitsFn:
    """The logits ``[N, *D] -> [N, K]`` of a model with one replica."""

    def logits(x: Tensor) -> Tensor:
        logits: Tensor = model(x[None])
        return logits[0]

    return logits


def misclassified(logits_fn: LogitsFn, x: Tensor, y: Tensor) -> Tensor:
    """bool ``[N]``, by the network as it runs."""
    with torch.no_grad():
        return logits_fn(x).argmax(-1) != y


def inside(around: Neighbourhood, points: Tensor) -> Tensor:
    """The nearest points of the points' own floating-point type that certainly lie in the l_inf balls.

    ``around.centre`` must be of that type, though written in float64: rounding towards it then ends inside.
    """
    centre, radius = around.centre, around.radius[:, None]
    step = (points.double() - centre).clamp(-radius, radius)
    target = centre + step
    if around.box is not None:
        target = target.clamp(*around.box)
    rounded = target.to(points.dtype)
    beyond = (rounded.double() - centre).abs() > radius
    return torch.where(beyond, torch.nextafter(rounded, centre.to(points.dtype)), rounded)
