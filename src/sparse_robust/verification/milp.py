"""A network's worst input as a mixed-integer program, solved by HiGHS.

Exact for the ReLU network: one binary for each unstable ReLU says whether it is active, all others are linear
on the neighbourhood. The program asks for an input at which class k reaches class y; if there is none, the
image is robust against k.

Reference: Tjeng, Xiao, Tedrake 2019, "Evaluating robustness of neural networks with mixed integer
programming"; that sparse networks with few unstable ReLUs are the easy ones: Xiao et al. 2019, "Training for
faster adversarial robustness verification via inducing ReLU stability".
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import highspy
import numpy as np
from highspy._core import _Highs, cb
from scipy import sparse
from torch import Tensor

from .crown import Bounds
from .neighbourhood import Neighbourhood
from .network import Stages, is_dense

Array = np.ndarray[Any, Any]

TOLERANCE = 1e-5
"""Above the margin that counts as lost in the program: more than HiGHS's feasibility tolerance of 1e-7 can
hide, so that what HiGHS calls infeasible has a positive margin."""

TARGET = -1e-3
"""A lead so far below 0 ends the search: float32 will agree that it is lost."""


@dataclass(frozen=True)
class Solver:
    """Options of HiGHS.

    Attributes:
        seconds: CPU time at most, so that a busy machine decides as much as an idle one; None for no limit.
        nodes: of the branch-and-bound trees at most; None for no limit.
        unstable: ReLUs that an image may leave unstable to be tried at all; None for no limit. Bounding every
            one of them by itself, before the search, takes some ten seconds in a dense LeNet-300-100.
        seed: of HiGHS's own random choices.
    """

    seconds: float | None = 30.0
    nodes: int | None = None
    unstable: int | None = None
    seed: int = 0

    def left(self, seconds: float, nodes: int) -> Solver:
        """What is left of the limits after so much was spent."""
        return replace(
            self,
            seconds=None if self.seconds is None else max(self.seconds - seconds, 0.0),
            nodes=None if self.nodes is None else max(self.nodes - nodes, 0),
        )


class Answer(Enum):
    """What became of a program."""

    INFEASIBLE = "infeasible"
    FEASIBLE = "feasible"
    LIMIT = "limit"


@dataclass(frozen=True, eq=False)
class SolverOutcome:
    """The answer to one program.

    Attributes:
        answer: infeasible (no input within reach), feasible (one was found), or a limit was met.
        point: the input that was found, ``[D]``, else None.
        bound: the solver's lower bound for the lead of the class over the neighbourhood, as far as the search
            came, cut off at TOLERANCE.
        nodes: of the tree.
    """

    answer: Answer
    point: Array | None
    bound: float
    nodes: int


@dataclass(frozen=True, eq=False)
class MixedIntegerProgram:
    """The neighbourhood and the hidden layers of a network, as variables and rows of HiGHS.

    Attributes:
        inputs: D, how many variables are inputs; they come first.
        low, high: of the variables ``[V]``.
        rows: ``[C, V]``, sparse.
        row_low, row_high: ``[C]``.
        binary: the indices of the binary variables.
        units: of the last hidden layer, the numbers of the units that can be active and their variables.
        switches: for each hidden layer the unit numbers of the unstable ones, as ``binary`` orders them.
        last: the output layer's weights ``[K, last hidden]`` and biases ``[K]``.
    """

    inputs: int
    low: Array
    high: Array
    rows: sparse.csr_array
    row_low: Array
    row_high: Array
    binary: Array
    units: tuple[Array, Array]
    switches: tuple[Array, ...]
    last: tuple[Array, Array]

    def states(self, layers: Stages, point: Tensor) -> Array:
        """Which unstable units are active at ``point [D]``, in the order of ``binary``."""
        x, states = point[None], []
        for stage, switches in zip(layers[:-1], self.switches, strict=True):
            x = stage.apply(x)
            states.append(_array(x[0])[switches] > 0)
        return np.concatenate(states)


class _Builder:
    """Variables and rows, as they come."""

    def __init__(self) -> None:
        self.low: list[Array] = []
        self.high: list[Array] = []
        self.blocks: list[tuple[Array, Array, Array]] = []  # row, variable, coefficient
        self.row_low: list[Array] = []
        self.row_high: list[Array] = []
        self.variables = self.rows = 0

    def add(self, low: Array, high: Array) -> Array:
        """New variables; their indices."""
        self.low.append(low)
        self.high.append(high)
        index = np.arange(self.variables, self.variables + len(low))
        self.variables += len(low)
        return index

    def require(self, low: Array, high: Array, *terms: tuple[Array, Array | float]) -> None:
        """One row for each entry of the terms, each a variable and its coefficient."""
        count = len(low)
        row = np.arange(self.rows, self.rows + count)
        for variable, coefficient in terms:
            self.blocks.append((row, variable, np.broadcast_to(coefficient, count)))
        self._close(low, high)

    def equal(self, weights: Array, read: Array, out: Array, bias: Array) -> None:
        """out - weights @ read = bias, ``weights [len(out), len(read)]``."""
        row, column = np.nonzero(weights)
        self.blocks.append((self.rows + row, read[column], -weights[row, column]))
        self.blocks.append((self.rows + np.arange(len(out)), out, np.ones(len(out))))
        self._close(bias, bias)

    def _close(self, low: Array, high: Array) -> None:
        self.row_low.append(low)
        self.row_high.append(high)
        self.rows += len(low)


def program(layers: Stages, around: Neighbourhood, known: Bounds, image: int = 0) -> MixedIntegerProgram:
    """The program of one image, without the class that is to win.

    Args:
        layers: a perceptron.
        around: a neighbourhood in l_inf of the image.
        known: bounds of the stages on it; the tighter, the faster the solver.
        image: its number.

    Raises:
        ValueError: if the network has other layers than dense ones, or the neighbourhood is not in l_inf.
    """
    if not is_dense(layers):
        raise ValueError("mixed-integer programs are for dense layers: take bounds for convolutions")
    if around.p == 2:
        raise ValueError("an l_2 ball is no polytope: mixed-integer programs are for p = infinity")
    build, switches, binary = _Builder(), [], []
    values = build.add(*(_array(end[image]) for end in around.range))
    read = np.arange(len(values))  # the units of the layer before that have a variable
    for stage, (lows, highs) in zip(layers[:-1], known.ranges, strict=False):
        low, high = _array(lows[image]), _array(highs[image])
        live = np.flatnonzero(high > 0)
        z = build.add(low[live], high[live])
        weight, bias = _affine(stage)
        build.equal(weight[np.ix_(live, read)], values, z, bias[live])
        unstable = low[live] < 0
        below, above, out = low[live][unstable], high[live][unstable], z.copy()
        a, d = build.add(0 * above, above), build.add(0 * above, 0 * above + 1)
        free = np.full(len(above), np.inf)
        build.require(0 * above, free, (a, 1.0), (z[unstable], -1.0))
        build.require(-free, -below, (a, 1.0), (z[unstable], -1.0), (d, -below))
        build.require(-free, 0 * above, (a, 1.0), (d, -above))
        out[unstable] = a
        values, read = out, live
        switches.append(live[unstable])
        binary.append(d)
    row, column, entries = (np.concatenate(parts) for parts in zip(*build.blocks, strict=True))
    return MixedIntegerProgram(
        inputs=around.centre.shape[1],
        low=np.concatenate(build.low),
        high=np.concatenate(build.high),
        rows=sparse.csr_array((entries, (row, column)), shape=(build.rows, build.variables)),
        row_low=np.concatenate(build.row_low),
        row_high=np.concatenate(build.row_high),
        binary=np.concatenate(binary),
        units=(read, values),
        switches=tuple(switches),
        last=_affine(layers[-1]),
    )


def solve(
    problem: MixedIntegerProgram, own: int, rival: int, options: Solver, start: Array | None = None
) -> SolverOutcome:
    """Is there an input at which the rival's logit reaches that of the class?

    The lead of the class is minimised and required to be at most TOLERANCE: branches that keep a larger lead
    are infeasible, and the first input with a lead of TARGET ends the search.

    Args:
        problem: of the image.
        own: the class y.
        rival: another class.
        options: limits of the search.
        start: states to try first, 0 or 1 for each binary: the activation region of an attack's point.
    """
    if options.seconds == 0:
        return SolverOutcome(Answer.LIMIT, None, -np.inf, 0)
    live, variables = problem.units
    weights, biases = problem.last
    cost = np.zeros(len(problem.low))
    cost[variables] = weights[own, live] - weights[rival, live]
    offset = float(biases[own] - biases[rival])
    highs = _solver(options)
    highs.passModel(_model(problem, cost, offset))
    if start is not None and len(start):
        highs.setSolution(len(start), problem.binary.astype(np.int32), start.astype(np.float64))
    highs.run()
    status, info = highs.getModelStatus(), highs.getInfo()
    bound = info.mip_dual_bound if len(problem.binary) else -np.inf  # a linear program has none
    if status == highspy.HighsModelStatus.kInfeasible:
        return SolverOutcome(Answer.INFEASIBLE, None, TOLERANCE, info.mip_node_count)
    if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible:
        point = np.array(highs.getSolution().col_value)[: problem.inputs]
        return SolverOutcome(Answer.FEASIBLE, point, bound, info.mip_node_count)
    return SolverOutcome(Answer.LIMIT, None, bound, info.mip_node_count)


def _solver(options: Solver) -> _Highs:
    """HiGHS with one thread, silent: the class of highspy's own would greet on standard output first."""
    highs = _Highs()
    chosen: dict[str, bool | int | float] = {
        "output_flag": False,
        "threads": 1,
        "random_seed": options.seed,
        "mip_rel_gap": 0.0,
        "objective_target": TARGET,
        "mip_feasibility_tolerance": 1e-7,
    }
    if options.nodes is not None:
        chosen["mip_max_nodes"] = options.nodes
    for name, value in chosen.items():
        if highs.setOptionValue(name, value) != highspy.HighsStatus.kOk:
            raise ValueError(f"HiGHS refuses {name} = {value}")
    if options.seconds is not None:
        _stop_after(highs, options.seconds)
    return highs


def _stop_after(highs: _Highs, seconds: float) -> None:
    """Interrupt HiGHS, whose own limit is by the wall clock, after so much CPU time."""
    end = time.process_time() + seconds

    def check(kind: cb.HighsCallbackType, message: str, status: Any, request: Any, data: Any) -> None:
        request.user_interrupt = time.process_time() >= end

    highs.setCallback(check, None)
    for kind in (cb.HighsCallbackType.kCallbackMipInterrupt, cb.HighsCallbackType.kCallbackSimplexInterrupt):
        highs.startCallback(kind)


def _model(problem: MixedIntegerProgram, cost: Array, offset: float) -> highspy.HighsLp:
    """Minimise cost . variables + offset, which has to be at most TOLERANCE."""
    rows = sparse.vstack([problem.rows, sparse.csr_array(cost[None])], format="csr")
    kinds = np.full(len(cost), highspy.HighsVarType.kContinuous, dtype=object)
    kinds[problem.binary] = highspy.HighsVarType.kInteger
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = len(cost), rows.shape[0]
    model.col_cost_, model.offset_ = cost, offset
    model.col_lower_, model.col_upper_ = problem.low, problem.high
    model.row_lower_ = np.append(problem.row_low, -np.inf)
    model.row_upper_ = np.append(problem.row_high, TOLERANCE - offset)
    model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    matrix = model.a_matrix_
    matrix.start_, matrix.index_, matrix.value_ = rows.indptr, rows.indices, rows.data
    model.integrality_ = list(kinds)
    return model


def _affine(stage: Any) -> tuple[Array, Array]:
    weight = _array(stage.layer.weight)
    return weight, np.zeros(len(weight)) if stage.bias is None else _array(stage.bias)


def _array(values: Tensor) -> Array:
    return values.detach().double().numpy()
