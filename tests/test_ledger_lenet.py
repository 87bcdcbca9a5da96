"""The rules for pruned networks, on made rows whose verdict is known beforehand."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from made_rows import made_rows
from sparse_robust.studies import controls, ledger
from sparse_robust.studies.catalogue import CATALOGUE, find
from sparse_robust.studies.courses import course
from sparse_robust.studies.paper import PAPER
from sparse_robust.studies.tables import panels

NETS = ("lenet-300-100", "lenet-5")
ROUNDS, SEEDS = range(17), range(10)
SPARSITY = [1 - (2 / 3) ** r for r in ROUNDS]
IMAGES = {"C&W": 500}
KINDS = [("accuracy", ""), ("r_inf", "FGS"), ("r_inf", "rFGS")] + [
    (metric, attack) for attack in ("DeepFool", "C&W") for metric in ("r_2", "r_2_squared")
]

Value = Callable[[int, str, str], float]
"""(round, metric, attack) -> the mean over seeds."""


def peaked(round_: int, peak: int, dense: float, top: float, last: float) -> float:
    """Linear from dense to top, and from there to last."""
    return float(np.interp(round_, [0, peak, 16], [dense, top, last]))


def as_in_the_paper(net: str) -> Value:
    """Accuracy held for ten rounds; r_inf and r_2 up for six, then down, r_2 sharply."""
    start = {metric: PAPER[f"{net}-{name}"].value for metric, name in {"r_inf": "rinf-dense"}.items()}
    start["r_2_squared"] = PAPER[f"{net}-r2-dense"].value
    start["r_2"] = math.sqrt(start["r_2_squared"])  # so that r_2-dense is met by its square alone

    def value(round_: int, metric: str, attack: str) -> float:
        if metric == "accuracy":
            return PAPER[f"{net}-accuracy"].value - 0.005 * max(round_ - 10, 0)
        dense = start[metric]
        return peaked(round_, 6, dense, 1.2 * dense, (0.9 if metric == "r_inf" else 0.2) * dense)

    return value


def table(value: Value, noise: float = 1e-4) -> pd.DataFrame:
    """One line per number, with a jitter of every model's own, a small one where it is accuracy."""
    generator = np.random.default_rng(0)

    def jittered(round_: int, seed: int, metric: str, attack: str) -> float:
        by = 1e-4 if metric == "accuracy" else noise
        return value(round_, metric, attack) + by * generator.standard_normal()

    return made_rows(SPARSITY, SEEDS, KINDS, jittered, lambda attack: IMAGES.get(attack, 10_000))


def judged(name: str, value: Value, noise: float = 1e-4) -> ledger.Finding:
    (claim,) = [c for c in ledger.CLAIMS if c.name == name]
    return claim.judge(table(value, noise))


def changed(net: str, change: Callable[[int, str, str, float], float]) -> Value:
    original = as_in_the_paper(net)
    return lambda r, metric, attack: change(r, metric, attack, original(r, metric, attack))


EVERY = [(net, c.name) for net in NETS for c in ledger.CLAIMS if c.experiment == net and not c.controls]
SHORT = sorted({name.removeprefix(f"{net}-") for net, name in EVERY})


def test_every_network_has_the_same_claims():
    assert {(net, f"{net}-{short}") for net in NETS for short in SHORT} == set(EVERY)
    assert set(NETS) <= set(CATALOGUE)


@pytest.mark.parametrize(("net", "name"), EVERY)
def test_rows_like_the_paper_reproduce_every_claim(net: str, name: str):
    finding = judged(name, as_in_the_paper(net))
    assert finding.verdict == ("partly" if name.endswith("r2-dense") else "reproduced"), finding
    assert finding.ours
    assert "|" not in finding.ours + finding.why, "it would end the cell of a table"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("net", "name"), EVERY)
def test_networks_without_any_robustness_are_judged_too(net: str, name: str):
    """As after the brief training of ``smoke``, where every image is misclassified under attack."""
    nothing = changed(net, lambda r, metric, attack, v: v if metric == "accuracy" else 0.0)
    finding = judged(name, nothing, noise=0.0)
    assert finding.verdict == ("reproduced" if name == f"{net}-accuracy" else "not reproduced")
    assert "nan" not in finding.ours + finding.why


def declining(round_: int, metric: str, attack: str, v: float) -> float:
    """Everything but accuracy falls from the start."""
    return v if metric == "accuracy" else 1 - 0.01 * round_


def rising(round_: int, metric: str, attack: str, v: float) -> float:
    """Everything but accuracy rises to the end, the l_infinity metrics most slowly."""
    return v if metric == "accuracy" else 1 + (0.005 if metric == "r_inf" else 0.01) * round_


def dipping(round_: int, metric: str, attack: str, v: float) -> float:
    """As in the paper, but below dense after the first round."""
    return v if metric == "accuracy" else v - (0.3 * v if round_ == 1 else 0)


def only(*attacks: str) -> Callable[[int, str, str, float], float]:
    """As in the paper under these attacks, falling under the others."""
    return lambda r, metric, attack, v: (
        v if attack in attacks or metric == "accuracy" else declining(r, metric, attack, v)
    )


def failing(last: int) -> Callable[[int, str, str, float], float]:
    """As in the paper, but from round ``last`` on the l_2 attacks fail."""
    return lambda r, metric, attack, v: math.inf if r >= last and attack in ("DeepFool", "C&W") else v


def accuracy_falls(per_round: float) -> Callable[[int, str, str, float], float]:
    """Accuracy falls from the first round on."""
    return lambda r, metric, attack, v: v - per_round * r if metric == "accuracy" else v


def at_once(round_: int, metric: str, attack: str, v: float) -> float:
    """Everything breaks in the same round."""
    if metric == "accuracy":
        return v if round_ < 9 else v - 0.02
    return 1 + 0.2 * min(round_, 6) / 6 if round_ < 9 else 0.5


def shifted(metric_: str, by: float) -> Callable[[int, str, str, float], float]:
    """One metric is another by a constant."""
    return lambda r, metric, attack, v: v + by if metric == metric_ else v


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize(
    ("short", "change", "verdict"),
    [
        ("accuracy", shifted("accuracy", -0.002), "partly"),
        ("accuracy", shifted("accuracy", -0.01), "not reproduced"),
        ("rinf-dense", shifted("r_inf", -0.06), "partly"),
        ("rinf-dense", shifted("r_inf", 0.2), "not reproduced"),
        ("r2-dense", shifted("r_2_squared", 0.5), "not reproduced"),
        ("r2-dense", lambda r, m, a, v: v**2 if m == "r_2" else 9.0, "reproduced"),
        *(
            (short, change, verdict)
            for short in ("rinf-rises", "r2-rises")
            for change, verdict in (
                (declining, "not reproduced"),
                (rising, "reproduced"),
                (dipping, "partly"),
                (only("FGS", "DeepFool"), "partly"),
                (accuracy_falls(0.02), "not reproduced"),
            )
        ),
        ("r2-rises", failing(16), "reproduced"),
        ("r2-rises", failing(1), "not reproduced"),
        ("r2-rises", failing(0), "not reproduced"),
        ("r2-dense", failing(0), "not reproduced"),
        ("consistent", failing(1), "not reproduced"),
        ("consistent", declining, "not reproduced"),
        ("consistent", only("FGS", "DeepFool"), "partly"),
        ("consistent", only("FGS", "rFGS"), "not reproduced"),
        ("consistent", accuracy_falls(0.02), "not reproduced"),
        ("r2-falls-earlier", rising, "not reproduced"),
        ("r2-falls-earlier", accuracy_falls(0.02), "not reproduced"),
        ("r2-falls-earlier", accuracy_falls(0.0005), "not reproduced"),
        ("r2-falls-earlier", at_once, "not reproduced"),
        ("r2-rises", lambda r, m, a, v: declining(r, m, a, v) if m == "r_2" else v, "partly"),
        ("r2-falls-earlier", lambda r, m, a, v: 1.0 if a == "C&W" else v, "partly"),
        ("r2-falls-most", lambda r, m, a, v: v * 0.5**r if m == "r_inf" else v, "not reproduced"),
        ("r2-falls-most", rising, "not reproduced"),
        ("r2-falls-most", only("DeepFool", "FGS"), "partly"),
    ],
)
def test_rows_unlike_the_paper_do_not(net: str, short: str, change, verdict: str):
    finding = judged(f"{net}-{short}", changed(net, change))
    assert finding.verdict == verdict, finding


@pytest.mark.parametrize("short", ["rinf-rises", "r2-rises", "r2-falls-most"])
def test_a_change_within_the_noise_is_undecided(short: str):
    """The peak stands out by as much as one model differs from another, and r_2 ends lower by as little."""

    def small(round_: int, metric: str, attack: str, v: float) -> float:
        if metric == "accuracy":
            return v
        return 1 + peaked(round_, 6, 0, 0.05, -0.5) - (0.04 if metric != "r_inf" and round_ > 9 else 0)

    assert (
        judged(f"lenet-300-100-{short}", changed("lenet-300-100", small), noise=0.05).verdict == "undecided"
    )


def test_an_attack_that_never_succeeds_leaves_nothing_to_compare():
    finding = judged("lenet-300-100-r2-falls-most", changed("lenet-300-100", failing(0)))
    assert finding.verdict == "not reproduced"
    assert "no round to compare under DeepFool and FGS" in finding.why


def test_both_metrics_are_compared_in_the_same_round():
    """Where r_2 is not comparable any more, r_inf must not be read either: here it is zero."""

    def ends(round_: int, metric: str, attack: str, v: float) -> float:
        if round_ < 10 or metric == "accuracy":
            return v
        return 0.0 if metric == "r_inf" else math.inf

    finding = judged("lenet-300-100-r2-falls-most", changed("lenet-300-100", ends))
    assert finding.verdict == "reproduced"
    assert "after round 9" in finding.why


def test_one_seed_that_breaks_does_not_hide_the_fall_of_accuracy():
    """A single collapse makes a t-test of that round insignificant, and the rounds before still count."""
    early = table(changed("lenet-300-100", accuracy_falls(0.0005)))
    broken = (early["round"] == 11) & (early.metric == "accuracy") & (early.seed == 0)
    early.loc[broken, "value"] = 0.1
    judge = {c.name: c.judge for c in ledger.CLAIMS}["lenet-300-100-r2-falls-earlier"]
    finding = judge(early)
    assert finding.verdict == "not reproduced"
    assert "accuracy after round 1 " in finding.ours


def test_r2_is_compared_as_a_mean_distance_and_as_a_mean_square():
    finding = judged("lenet-300-100-r2-dense", as_in_the_paper("lenet-300-100"), noise=0.0)
    paper = PAPER["lenet-300-100-r2-dense"].value
    assert f"mean square {paper:.4f}" in finding.ours
    assert f"mean distance {math.sqrt(paper):.4f}" in finding.ours
    assert f"off by {math.sqrt(paper) - paper:+.4f}" in finding.why


def test_the_images_of_an_attack_are_told_where_they_are_not_all():
    finding = judged("lenet-5-r2-rises", as_in_the_paper("lenet-5"))
    assert "C&W (first 500 images)" in finding.why
    assert "DeepFool:" in finding.why


def test_course_finds_the_peak_of_every_seed():
    values = pd.DataFrame(
        [[1.0, 1.0, 1.0], [0.5, 0.6, 0.4], [2.0, 3.1, 3.0], [2.1, 3.0, 3.1], [0.1, 0.2, 0.3]],
        columns=["a", "b", "c"],
    )
    c = course(values, [0, 1, 2, 3])
    assert c is not None
    assert (c.peak, c.earliest, c.latest, c.rounds) == (3, 2, 3, [1, 2, 3])
    assert c.top == pytest.approx(8.2 / 3)
    assert c.rise.mean == pytest.approx(8.2 / 3 - 1)
    assert c.fall.mean == pytest.approx(0.2 - 8.2 / 3)
    assert c.dips == []
    assert course(values, [0]) is None
    assert course(values.loc[1:], [0, 1]) is None


def test_course_sees_a_dip_before_the_peak():
    values = pd.DataFrame([[1.0, 1.01], [0.5, 0.5101], [2.0, 2.0101], [0.1, 0.1101]])
    c = course(values, [0, 1, 2])
    assert c is not None
    assert (c.peak, c.dips, c.verdict) == (2, [1], "partly")


@pytest.mark.parametrize("seeds", [1, 2, 3])
@pytest.mark.parametrize("short", SHORT)
def test_few_seeds_reproduce_and_refute_no_change(short: str, seeds: int):
    """Noise as large as the effect: one seed cannot be judged at all, two or three leave it undecided."""
    (claim,) = [c for c in ledger.CLAIMS if c.name == f"lenet-300-100-{short}"]
    rows = table(as_in_the_paper("lenet-300-100"), noise=0.1)
    few = rows[rows.seed < seeds]
    if short in ("accuracy", "rinf-dense", "r2-dense"):
        return
    assert ledger.finding(claim, few, None).verdict == "undecided"


def test_networks_trained_for_less_than_the_papers_iterations_test_no_printed_number():
    for short in ("accuracy", "rinf-dense", "r2-dense"):
        (claim,) = [c for c in ledger.CLAIMS if c.name == f"lenet-5-{short}"]
        rows = table(as_in_the_paper("lenet-5")).assign(steps=1_000)
        finding = claim.judge(rows)
        assert finding.verdict == "not a test"
        assert "trained for 2 % of the paper's iterations" in finding.why
        assert claim.judge(rows.assign(steps=50_000)).verdict != "not a test"


def beside_controls(over: float, noise: float, seeds: int = 10) -> pd.DataFrame:
    """Pruned networks as in the paper, dense ones trained on that gain ``over`` of that, others that fall."""
    value = as_in_the_paper("lenet-300-100")

    def trained(r: int, metric: str, attack: str) -> float:
        return value(0, metric, attack) + (
            0 if metric == "accuracy" else over * (value(r, metric, attack) - value(0, metric, attack))
        )

    ways = {"magnitude": value, "none": trained, "random": changed("lenet-300-100", declining)}
    parts = [table(some, noise).assign(selection=way) for way, some in ways.items()]
    # the controls are of other noise than the pruned networks, as those of the experiments are
    generator = np.random.default_rng(1)
    for part in parts[1:]:
        part["value"] += noise * generator.standard_normal(len(part)) * (part.metric != "accuracy")
    return pd.concat([parts[0], *(part[part.seed < seeds] for part in parts[1:])], ignore_index=True)


@pytest.mark.parametrize("short", ["rinf-rises", "r2-rises"])
@pytest.mark.parametrize(
    ("over", "noise", "verdict"),
    [
        (0.5, 1e-3, "reproduced"),
        (1.0, 1e-3, "not reproduced"),
        (1.5, 1e-3, "not reproduced"),
        (0.5, 0.3, "undecided"),
    ],
)
def test_a_rise_is_held_against_that_of_dense_networks_trained_on(
    short: str, over: float, noise: float, verdict: str
):
    (claim,) = [c for c in ledger.CLAIMS if c.name == f"lenet-300-100-{short}-controlled"]
    finding = claim.judge(beside_controls(over, noise))
    assert finding.verdict == verdict, finding
    assert "over random pruning" in finding.why


def test_controls_with_other_seeds_and_attacks_than_the_experiment_are_paired_and_said_so():
    (claim,) = [c for c in ledger.CLAIMS if c.name == "lenet-300-100-r2-rises-controlled"]
    rows = beside_controls(0.5, 1e-4, seeds=3)
    without = rows[(rows.selection == "magnitude") | (rows.attack != "C&W")]
    finding = claim.judge(without)
    assert finding.verdict == "reproduced"
    assert "3 seeds" in finding.why
    assert "not attacked by C&W" in finding.why
    gains = controls.gains(
        without[without.selection == "magnitude"], without[without.selection != "magnitude"]
    )
    assert gains["dense, trained on: share"].tolist() == pytest.approx([0.5] * len(gains), abs=0.01)
    assert not gains.metric.str.contains("C&W").any()
    drawn = controls.curves_beside(
        rows[rows.selection == "magnitude"], rows.iloc[:0], panels("FGS", "DeepFool")
    )
    assert set(drawn.label) == {"magnitude pruning"}
    drawn = controls.curves_beside(
        rows[rows.selection == "magnitude"], rows[rows.selection != "magnitude"], panels("FGS", "DeepFool")
    )
    assert list(drawn.label.unique()) == ["magnitude pruning", *controls.WAYS.values()]
    # a control has lost no weight, or as many, and is drawn above the pruned networks of its round
    dense = rows.assign(sparsity=rows.sparsity.where(rows.selection != "none", 0.0))
    drawn = controls.curves_beside(
        dense[dense.selection == "magnitude"],
        dense[dense.selection != "magnitude"],
        panels("FGS", "DeepFool"),
    )
    places = [drawn[drawn.label == way].sparsity.round(9).unique() for way in drawn.label.unique()]
    assert all(np.allclose(place, places[0]) for place in places)
    assert len(places[0]) == rows["round"].nunique()


def test_the_first_result_is_said_with_the_seeds_and_the_round_that_are_compared() -> None:
    rows = beside_controls(0.5, 1e-4, seeds=3).assign(scale="paper")
    path, beside = rows[rows.selection == "magnitude"], rows[rows.selection != "magnitude"]
    words = controls.in_words(path, beside)
    assert "the paper's protocol, 3 of 10 seeds" in words
    assert "which is 50% of it" in words
    assert controls.in_words(path, beside.iloc[:0]) == controls.NOT_RUN
    first = controls.gains(path, beside, after=1)
    assert set(first["round"]) == {1}
    expected = path[(path.metric == "r_inf") & (path.attack == "FGS") & (path.seed < 3)]
    means = expected.groupby("round").value.mean()
    (line,) = [line for _, line in first.iterrows() if line.metric == r"$r_\infty$, FGS"]
    assert line.pruned == pytest.approx(means[1] / means[0] - 1, abs=1e-3)


def test_an_attack_that_fails_on_random_pruning_does_not_stop_the_comparison_with_training() -> None:
    (claim,) = [c for c in ledger.CLAIMS if c.name == "lenet-300-100-r2-rises-controlled"]
    rows = beside_controls(0.5, 1e-4)
    rows.loc[(rows.selection == "random") & (rows["round"] > 0) & (rows.metric != "accuracy"), "value"] = (
        np.inf
    )
    finding = claim.judge(rows)
    assert finding.verdict == "reproduced"
    assert "pruned at random the attack fails" in finding.why


def test_a_verdict_on_fewer_seeds_than_planned_says_how_many() -> None:
    planned = find("lenet-300-100-controls")
    rows = beside_controls(0.5, 1e-4, seeds=3).assign(scale="paper")
    controls_alone = rows[rows.selection != "magnitude"]
    assert "the paper's protocol, 3 of 10 seeds" in ledger.fewer_seeds(controls_alone, planned)
    assert ledger.fewer_seeds(rows[rows.selection == "magnitude"], find("lenet-300-100")) == ""
