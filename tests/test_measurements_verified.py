"""Rows of verification: against direct calls on small nets, where enumeration knows the exact distance."""

from dataclasses import replace
from math import inf

import pytest
import torch

from sparse_robust import attacks
from sparse_robust.attacks import AttackResult
from sparse_robust.experiments.stages import build
from sparse_robust.measurements import MEASUREMENTS, Subject
from sparse_robust.measurements.contract import Progress, Values
from sparse_robust.measurements.verified import (
    CERTIFICATE_METRICS,
    R_2_METRICS,
    R_INF_METRICS,
    TOLERANCE,
    limits,
    nearest,
    strongest,
)
from sparse_robust.models import prunable
from sparse_robust.rng import stream
from sparse_robust.studies.catalogue import find
from sparse_robust.theory.distance import distance
from sparse_robust.types import Box, LogitsFn
from sparse_robust.verification import decide, replica
from sparse_robust.verification.decisions import Decisions
from sparse_robust.verification.distance import attacked_distance, exact_distance
from sparse_robust.verification.milp import Solver
from sparse_robust.verification.radius import attack_radius, certified_radius
from test_verification_bounds import rational
from test_verification_decisions import NO_CLOCK, led_by_class_0, nothing, rational_lead

SPEC = replace(find("verification").specs["smoke"][1], eps=0.02)
POINTS = {"batches": 4.0, "samples": 3.0, "nodes": 20.0}


def sparse_subject(images: int = 3) -> Subject:
    """Two untrained replicas, few weights, much alike, and noise that they classify rightly, but for one."""
    model = build(SPEC, (3, 1), torch.device("cpu")).model
    draw = stream(0, "test/verified")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter[1] = parameter[0]
        for weight in prunable(model).values():
            weight *= 6 * (torch.rand(weight.shape[1:], generator=draw) < 0.01)
            weight[1] *= 1.25
        x = torch.rand((images, 784), generator=draw)
        y = model(x.expand(2, -1, -1)).argmax(-1)[0]
    y[0] = (y[0] + 1) % 10
    return Subject(model, x, y, (3, 1))


def measured(
    name: str, subject: Subject, options: dict[str, float], progress: Progress = lambda n: None
) -> Values:
    values = MEASUREMENTS[name].measure(SPEC.setting, subject, options, progress)
    assert list(values) == MEASUREMENTS[name].names(SPEC.setting)
    return values


def test_r_inf_is_what_decisions_say() -> None:
    subject, done = sparse_subject(), list[int]()
    values = measured("verification l_inf", subject, {"nodes": 20.0}, done.append)
    assert {metric for metric, _ in values} == set(R_INF_METRICS)
    assert sum(done) == 2 * 3
    for r in range(2):
        at = decide(
            replica(subject.model, r),
            subject.x,
            subject.y,
            eps=SPEC.eps,
            attack=strongest,
            solver=Solver(seconds=None, nodes=20),
        )
        expected = {
            "r_inf_bounds": at.robust & ~at.by_solver,
            "r_inf_certified": at.robust,
            "r_inf_attacked": ~at.attacked,
            "decided": at.robust | at.attacked,
            "unstable": at.unstable,
            "solver_share": at.by_solver,
        }
        for metric, numbers in expected.items():
            assert values[metric, "verification l_inf"][r].value == pytest.approx(
                float(numbers.double().mean())
            )
        low, high = (
            values[f"r_inf_{side}", "verification l_inf"][r].value for side in ("certified", "attacked")
        )
        assert low <= high <= 2 / 3, "the first image of the first replica is misclassified"


def test_r_2_lies_between_certificate_and_attack() -> None:
    model, x, y = led_by_class_0(5)
    x, y = x[::2], y[::2]
    values = measured("verification l_2", Subject(model, x, y, (0,)), {})
    assert {metric for metric, _ in values} == set(R_2_METRICS)
    high = attack_radius(model, x, y, attack=nearest)
    low = certified_radius(model, x, y, high)
    sides = [values[metric, "verification l_2"][0].value for metric in R_2_METRICS]
    assert sides == pytest.approx([float(low.mean()), float(high.mean())])
    assert 0 < sides[0] < sides[1] < inf


@pytest.mark.parametrize(("name", "radius"), [("certificates l_2", 2.0), ("certificates l_inf", 0.05)])
def test_certificates_are_below_exact_distances_and_these_below_attacks(name: str, radius: float) -> None:
    values = measured(name, sparse_subject(), POINTS | {"radius": radius})
    assert {metric for metric, _ in values} == set(CERTIFICATE_METRICS)
    for r in range(2):
        of = {metric: values[metric, name][r].value for metric in CERTIFICATE_METRICS}
        assert all(of[m] <= of["distance_low"] for m in ("gamma_global", "gamma_interval", "crown"))
        assert 0 < of["distance_low"] <= of["distance_high"] <= of["attack"] <= radius
        assert of["clever_above"] + of["clever_below"] <= 1
        if name == "certificates l_inf":
            assert of["distance_high"] - of["distance_low"] <= TOLERANCE, "the solver closes the gap"
            assert of["distance_low"] > of["crown"]


def test_a_score_above_the_exact_distance_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores that are all as large as the ball are above the distance of what can be attacked in it."""
    subject = sparse_subject()
    right = subject.model(subject.x.expand(2, -1, -1)).argmax(-1) == subject.y

    def optimistic(*arguments: object) -> object:
        from sparse_robust.measurements import clever_scores

        result = clever_scores.scores(*arguments)  # type: ignore[arg-type]
        return replace(result, score=torch.full_like(result.score, 1.0) * right)

    monkeypatch.setattr("sparse_robust.measurements.verified.scores", optimistic)
    values = measured("certificates l_inf", subject, POINTS | {"radius": 1.0})
    for r in range(2):
        above, below = (
            values[f"clever_{side}", "certificates l_inf"][r].value for side in ("above", "below")
        )
        assert above == pytest.approx(float(right[r].double().mean()))
        assert below == pytest.approx(float((~right[r]).double().mean()))


def test_limits_are_those_of_the_options() -> None:
    assert limits({"seconds": 3.0, "unstable": 7.0}) == Solver(seconds=3.0, nodes=None, unstable=7)
    assert limits({"nodes": 2.0}) == Solver(seconds=None, nodes=2)


def pgd(logits_fn: LogitsFn, x: torch.Tensor, y: torch.Tensor, eps: float, box: Box) -> AttackResult:
    return attacks.projected_gradient_descent(logits_fn, x, y, eps=eps, box=box)


def test_the_exact_distance_is_that_of_enumeration() -> None:
    """Two inputs, three classes, no box: rational arithmetic knows the distance to a tie."""
    model, x, y = led_by_class_0(2)
    exact = torch.tensor(
        [
            min(float(distance(rational_lead(model, rival), rational(x[n]))) for rival in (1, 2))
            for n in range(2)
        ]
    ).double()
    reach, tolerance = 1.5 * float(exact.max()), 1e-4
    found = attacked_distance(model, x[:2], y[:2], reach, steps=12, box=None, attack=pgd)
    assert (found >= exact).all()
    low, high = exact_distance(
        model,
        x[:2],
        y[:2],
        torch.zeros(2).double(),
        found,
        reach,
        tolerance=tolerance,
        solver=NO_CLOCK,
        box=None,
    )
    assert (low <= exact).all()
    assert (exact <= high).all()
    assert (high - low <= tolerance).all()


def test_distances_are_cut_off_at_the_reach() -> None:
    model, x, y = led_by_class_0(2)
    reach = 1e-3
    found = attacked_distance(model, x[:2], y[:2], reach, box=None)
    assert (found == inf).all()
    low, high = exact_distance(
        model, x[:2], y[:2], torch.zeros(2).double(), found, reach, tolerance=1e-6, solver=NO_CLOCK, box=None
    )
    assert (low == reach).all()
    assert (high == reach).all()
    assert (attacked_distance(model, x[:2], y[:2] + 1, reach, box=None) == 0).all()


def test_an_open_decision_ends_the_bisection(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x, y = led_by_class_0(2)
    asked = list[float]()

    def undecided(*arguments: object, eps: float, **options: object) -> Decisions:
        asked.append(eps)
        no, one = torch.zeros(1, dtype=torch.bool), torch.zeros(1).double()
        return Decisions(no, no, x[:1], one, one.long(), no, one, one.long())

    monkeypatch.setattr("sparse_robust.verification.distance.decide", undecided)
    low, high = exact_distance(
        model,
        x[:1],
        y[:1],
        torch.tensor([0.125]).double(),
        torch.tensor([0.375]).double(),
        1.0,
        tolerance=1e-3,
        solver=NO_CLOCK,
    )
    assert (asked, float(low), float(high)) == ([0.25], 0.125, 0.375)


def test_images_with_too_many_unstable_units_are_not_given_to_the_solver() -> None:
    model, x, y = led_by_class_0(5)
    free = decide(model, x, y, eps=0.3, attack=nothing, solver=NO_CLOCK)
    asked = free.unstable[free.by_solver]
    assert len(asked.unique()) > 1, "there is something to keep, and something to leave out"
    kept = decide(model, x, y, eps=0.3, attack=nothing, solver=replace(NO_CLOCK, unstable=int(asked.min())))
    assert (kept.by_solver == (free.by_solver & (free.unstable <= asked.min()))).all()
    assert (kept.open == (free.open | (free.by_solver & ~kept.by_solver))).all()
    assert kept.open.any()
    assert kept.by_solver.any()


def test_the_strongest_attack_succeeds_where_either_does() -> None:
    subject = sparse_subject(40)

    def logits(x: torch.Tensor) -> torch.Tensor:
        values: torch.Tensor = replica(subject.model, 0)(x[None])[0]
        return values

    options = {"eps": 0.03, "box": (0.0, 1.0)}
    both = strongest(logits, subject.x, subject.y, 0.03, (0.0, 1.0))
    parts = [
        attack(logits, subject.x, subject.y, **options).flipped
        for attack in (attacks.projected_gradient_descent, attacks.adaptive_projected_gradient_descent)
    ]
    assert (both.flipped == parts[0] | parts[1]).all()
    assert ((logits(both.x_adv).argmax(-1) != subject.y) == both.flipped).all()
    assert ((both.x_adv - subject.x).norm(dim=1)[both.flipped] == both.radius[both.flipped]).all()
    assert 1 < int(both.flipped.sum()) < 40
