"""The rules of the claims ledger, on made rows whose verdict is known beforehand."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from made_rows import made_rows
from notebooks import ROOT
from sparse_robust.experiments import Row, Spec, Store
from sparse_robust.experiments.load import PUBLISHED_FILES, complete_size, scale_of, stored
from sparse_robust.experiments.statistics import frame, paired, per_seed, summary
from sparse_robust.studies import ledger, rules
from sparse_robust.studies.catalogue import CATALOGUE
from sparse_robust.studies.linear import claims as linear
from sparse_robust.studies.paper import PAPER, PaperNumber

LINEAR_BINARY = CATALOGUE["linear-binary"]
(SPEC,) = LINEAR_BINARY.specs["paper"]
ROUNDS, SEEDS = SPEC.rounds + 1, 10
SPARSITY = [1 - (2 / 3) ** r for r in range(ROUNDS)]


def rows(
    value: Callable[[int, int, str, str | None], float], seeds: int = SEEDS, spec: Spec = SPEC
) -> list[Row]:
    """Every row of linear-binary, with values from value(round, seed, metric, attack)."""
    return [
        Row(
            experiment="linear-binary",
            spec=spec.key,
            seed=seed,
            round=round_,
            sparsity=SPARSITY[round_],
            metric=metric,
            attack=attack,
            value=value(round_, seed, metric, attack),
            n=2163,
            stderr=None,
            commit="abc",
            dirty=False,
            torch="2",
            device="cpu",
            data="d",
            data_description="MNIST",
            seconds=0.0,
        )
        for round_ in range(ROUNDS)
        for seed in range(seeds)
        for metric, attack in spec.names
    ]


def as_in_the_paper(round_: int, seed: int, metric: str, attack: str | None) -> float:
    """Accuracy held for ten rounds, r_inf up, r_2 slightly down from the first round on."""
    jitter = 1e-4 * np.random.default_rng([round_, seed, len(metric), len(attack or "")]).standard_normal()
    match metric:
        case "accuracy":
            return 0.9917 + jitter - (0.02 * (round_ - 10) if round_ > 10 else 0)
        case "sparsity":
            return SPARSITY[round_] if round_ < 16 else 1 - 2 / 784
        case "r_inf":
            return 0.8 + 0.005 * round_ + jitter
        case "r_2":
            start = {"DeepFool": 2.0103, "C&W": 2.3151, "exact": 1.97}[str(attack)]
            return start - 0.009 * round_ + jitter
    return 0.0


def judged(value: Callable[[int, int, str, str | None], float], name: str) -> ledger.Finding:
    (claim,) = [c for c in ledger.CLAIMS if c.name == name]
    return claim.judge(frame(rows(value)))


BINARY = [c.name for c in ledger.CLAIMS if c.experiment == "linear-binary" and not c.controls]
NO_TEST = {"binary-accuracy", "final-sparsity", "binary-r2-deepfool-round-1", "binary-r2-cw-round-1"}


@pytest.mark.parametrize("name", BINARY)
def test_rows_like_the_paper_reproduce_every_claim(name: str):
    assert judged(as_in_the_paper, name).verdict == ("not a test" if name in NO_TEST else "reproduced")


@pytest.mark.parametrize("name", sorted(NO_TEST))
def test_no_outcome_is_a_verdict_where_nothing_is_at_stake(name: str):
    off = judged(lambda *key: 0.5, name)
    assert off.verdict == "not a test"
    assert off.ours
    assert off.why.startswith(("weight decay", "of the ways", "the tolerance"))


def changed(**changes: Callable[[int, float], float]) -> Callable[[int, int, str, str | None], float]:
    def value(round_: int, seed: int, metric: str, attack: str | None) -> float:
        original = as_in_the_paper(round_, seed, metric, attack)
        return changes[metric](round_, original) if metric in changes else original

    return value


@pytest.mark.parametrize(
    ("value", "name", "verdict"),
    [
        (changed(r_2=lambda r, v: v * 0.98), "binary-r2-deepfool-dense", "partly"),
        (changed(r_2=lambda r, v: v**2), "binary-r2-deepfool-dense", "not reproduced"),
        (changed(r_2=lambda r, v: v + 0.02 * r), "binary-r2-deepfool-falls", "not reproduced"),
        (changed(r_2=lambda r, v: v + 0.02 * r), "binary-r2-not-better", "not reproduced"),
        (changed(r_2=lambda r, v: v * 0.9**r), "binary-r2-not-better", "partly"),
        (changed(r_inf=lambda r, v: 1.6 - v), "binary-rinf-rises", "not reproduced"),
        (changed(accuracy=lambda r, v: v - 0.003 * r), "binary-r2-falls-earlier", "not reproduced"),
        (
            changed(accuracy=lambda r, v: v - 0.003 * max(r - 1, 0)),
            "binary-r2-falls-earlier",
            "not reproduced",
        ),
        (changed(accuracy=lambda r, v: v - 0.003 * max(r - 2, 0)), "binary-r2-falls-earlier", "reproduced"),
        (changed(accuracy=lambda r, v: 0.99), "binary-r2-falls-earlier", "undecided"),
        (changed(accuracy=lambda r, v: v - 0.1 * (r > 0)), "binary-rinf-rises", "not reproduced"),
    ],
)
def test_rows_unlike_the_paper_do_not(value, name: str, verdict: str):
    assert judged(value, name).verdict == verdict


def test_a_change_within_the_noise_is_undecided_unless_the_papers_is_excluded():
    def noisy(round_: int, seed: int, metric: str, attack: str | None) -> float:
        if metric == "r_2":
            return 2 - (0.001 if round_ else 0) + (noise * (-1) ** seed if round_ else 0)
        return as_in_the_paper(round_, seed, metric, attack)

    noise = 0.01
    assert judged(noisy, "binary-r2-deepfool-falls").verdict == "undecided"
    noise = 0.005
    assert judged(noisy, "binary-r2-deepfool-falls").verdict == "not reproduced"


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([0.8, 1.0, 1.2], "undecided"),
        ([0.9, 1.0, 1.1], "reproduced"),
        ([0.98, 1.0, 1.02], "reproduced"),
        ([-1.02, -1.0, -0.98], "not reproduced"),
        ([-0.02, 0.0, 0.02], "not reproduced"),
        ([-2.0, 0.0, 2.0], "undecided"),
        ([0.0, 0.0, 0.0], "not reproduced"),
    ],
)
@pytest.mark.parametrize("direction", [1, -1])
def test_a_change_is_judged_by_its_interval(differences: list[float], verdict: str, direction: int):
    """With three seeds and the deviation s the interval at level .01 reaches 5.73 s to either side."""
    change = paired(pd.DataFrame([[0.0] * 3, [direction * d for d in differences]]), 0, 1)
    assert rules.judge_change(change, direction, 0.5) == verdict


def test_three_seeds_need_an_effect_of_five_point_seven_deviations():
    """Student's t over the root of n at level .01, and 12.9 at a fifth of it."""
    for level, needed in ((0.01, 5.73), (0.002, 12.89)):
        assert stats.t.ppf(1 - level / 2, 2) / 3**0.5 == pytest.approx(needed, abs=0.005)
        for effect, verdict in ((needed - 0.01, "undecided"), (needed + 0.01, "reproduced")):
            change = paired(pd.DataFrame([[0.0] * 3, [effect - 1, effect, effect + 1]]), 0, 1)
            assert change.effect == pytest.approx(effect)
            assert rules.judge_change(change, 1, effect, level) == verdict


def test_the_interval_at_a_level_is_students():
    change = paired(pd.DataFrame([[1.0, 2.0, 3.0], [0.9, 1.95, 2.9]]), 0, 1)
    for level in (0.05, 0.01, 0.001):
        low, high = stats.ttest_1samp([-0.1, -0.05, -0.1], 0).confidence_interval(1 - level)
        assert change.within(level) == pytest.approx((low, high))


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        (("reproduced", "reproduced"), "reproduced"),
        (("reproduced", "not reproduced"), "partly"),
        (("reproduced", "undecided"), "undecided"),
        (("not reproduced", "undecided"), "undecided"),
        (("reproduced", "not reproduced", "undecided"), "partly"),
        (("partly", "undecided"), "partly"),
        (("not a test", "reproduced"), "reproduced"),
        (("not a test",), "not a test"),
    ],
)
def test_a_whole_is_decided_if_no_undecided_part_can_change_it(parts, whole: str):
    assert rules.combine(parts) == whole


def test_a_failed_attack_cannot_pass_for_robustness():
    finding = judged(changed(r_2=lambda r, v: math.inf), "binary-r2-deepfool-dense")
    assert finding.verdict == "not reproduced"


def test_paired_agrees_with_scipy_and_uses_the_pairing():
    table = pd.DataFrame([[1.0, 2.0, 3.0], [0.9, 1.95, 2.9]])
    change = paired(table, 0, 1)
    test = stats.ttest_rel(table.loc[1], table.loc[0])
    assert change.p == pytest.approx(test.pvalue)
    assert change.mean == pytest.approx(-0.25 / 3)
    assert change.low < change.mean < change.high < 0
    assert stats.ttest_ind(table.loc[1], table.loc[0]).pvalue > 0.5 > change.p


def test_paired_needs_two_seeds():
    with pytest.raises(ValueError, match="two seeds"):
        paired(pd.DataFrame([[1.0], [2.0]]), 0, 1)


def test_equal_differences_have_a_point_for_an_interval():
    change = paired(pd.DataFrame([[1.0, 2.0], [0.5, 1.5]]), 0, 1)
    assert (change.low, change.high, change.p) == (-0.5, -0.5, 0.0)


def test_summary_averages_over_seeds():
    table = frame(rows(as_in_the_paper))
    values = per_seed(table, "r_2", "DeepFool")
    line = summary(table, "r_2", "DeepFool").loc[3]
    assert line["mean"] == pytest.approx(np.mean([values.loc[3, s] for s in range(SEEDS)]))
    assert line["spread"] == pytest.approx(np.std([values.loc[3, s] for s in range(SEEDS)], ddof=1))
    with pytest.raises(KeyError, match="nonsense"):
        per_seed(table, "nonsense")


def test_nothing_stored_is_not_run(tmp_path):
    store = Store(tmp_path / "results", tmp_path / "cache")
    assert {f.verdict for f in ledger.findings("published", store).values()} == {"not run"}
    assert "not run" in ledger.as_text("laptop", store)


def test_half_a_run_is_not_run_and_says_how_much_is_there(tmp_path):
    store = Store(tmp_path / "results", tmp_path / "cache")
    made = rows(as_in_the_paper)
    store.add_rows("linear-binary", "paper", made[:-1])
    finding = ledger.findings("published", store)["binary-accuracy"]
    assert finding.verdict == "not run"
    assert f"{len(made) - 1} of {len(made)}" in finding.why
    store.add_rows("linear-binary", "paper", made)
    assert ledger.findings("published", store)["binary-r2-deepfool-dense"].verdict == "reproduced"


def test_rows_of_laptop_scale_are_published_as_such_until_there_are_finished_ones_of_the_papers(tmp_path):
    store, name = Store(tmp_path / "results", tmp_path / "cache"), "binary-r2-deepfool-dense"
    small = rows(as_in_the_paper, seeds=3, spec=CATALOGUE["linear-binary"].specs["laptop"][0])

    def entry(profile: str = "published") -> dict[str, str]:
        (found,) = [e for e in ledger.records(profile, store) if e["name"] == name]
        return found

    store.add_rows("linear-binary", "laptop", small)
    assert entry()["label"] == "not run", "what one runs at home is not published"
    assert entry("laptop")["label"] == "reproduced at laptop scale"

    store.add_rows("linear-binary", PUBLISHED_FILES["laptop"], small)
    assert scale_of(LINEAR_BINARY, "published", store) == "laptop"
    assert entry()["published"].startswith("2.0103 ")
    assert entry()["verdict"] == "reproduced"
    assert entry()["label"] == entry()["published label"] == "reproduced at laptop scale"
    assert entry("paper")["label"] == "not run", "rows of one scale are no rows of another"
    counts = ledger.tally(ledger.records("published", store))
    assert counts["reproduced"] == 0
    assert counts["reproduced at laptop scale"] > 0
    assert sum(counts.values()) == len(ledger.CLAIMS)
    assert "(reproduced at laptop scale)" in ledger.as_text("published", store)

    large = rows(as_in_the_paper)
    store.add_rows("linear-binary", "paper", large[:-1])
    assert scale_of(LINEAR_BINARY, "published", store) == "laptop", "a run that goes on hides nothing"
    store.add_rows("linear-binary", "paper", large)
    assert scale_of(LINEAR_BINARY, "published", store) == "paper"
    assert entry()["label"] == "reproduced"
    assert stored(LINEAR_BINARY, "published", store).seed.nunique() == SEEDS
    assert set(stored(LINEAR_BINARY, "published", store, scale="laptop").scale) == {"laptop"}


def test_the_committed_rows_are_finished_and_of_the_present_specs():
    store = Store(ROOT / "book" / "results", ROOT)
    scales = {file: scale for scale, file in PUBLISHED_FILES.items()}
    rows_of = (path for path in store.results.glob("*.jsonl") if ".blocks" not in path.suffixes)
    files = [path.name.removesuffix(".jsonl") for path in rows_of]
    committed = [file.split(".") for file in files if file.split(".")[1] not in {"smoke", "laptop"}]
    assert committed
    for name, file in committed:
        scale = scales[file]
        table = stored(CATALOGUE[name], "published", store, scale=scale)
        assert len(table) == complete_size(table, CATALOGUE[name], scale) > 0, f"{name}.{file}"
        assert not table.dirty.any(), f"{name}.{file}: computed from code that was never committed"


def test_rows_of_another_spec_or_a_smaller_data_set_do_not_count(tmp_path):
    store = Store(tmp_path / "results", tmp_path / "cache")
    good = rows(as_in_the_paper)
    old = [Row(**{**row.__dict__, "spec": "000000000000"}) for row in good]
    small = [Row(**{**row.__dict__, "data": "sample", "n": 100, "value": 0.0}) for row in good]
    store.add_rows("linear-binary", "paper", old + small + good)
    assert set(stored(LINEAR_BINARY, "published", store).data) == {"d"}


def test_the_table_has_four_columns_of_numbers(tmp_path):
    store = Store(tmp_path / "results", tmp_path / "cache")
    store.add_rows("linear-binary", "paper", rows(as_in_the_paper))
    text = ledger.as_text("laptop", store)
    for word in ("paper      2.0103 ± 0.0022", "published  2.0103", "yours", "reproduced", "because"):
        assert word in text


def test_names_are_unique_and_sources_are_given():
    names = [claim.name for claim in ledger.CLAIMS]
    assert len(set(names)) == len(names)
    assert all(claim.source and claim.paper for claim in ledger.CLAIMS)
    assert set(PAPER) <= set(names) | {n for n in PAPER if n.startswith("binary-r2")}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (PaperNumber(0.9917, 0.0, "", percent=True), "99.17 ± 0.00 %"),
        (PaperNumber(0.9974, None, "", percent=True), "99.74 %"),
        (PaperNumber(2.0103, 0.0022, ""), "2.0103 ± 0.0022"),
    ],
)
def test_numbers_are_printed_as_the_paper_prints_them(number: PaperNumber, text: str):
    assert str(number) == text


def test_an_unknown_profile_lists_the_known_ones():
    with pytest.raises(ValueError, match="laptop"):
        ledger.as_text("desktop")


def test_rounds_with_failed_attacks_are_left_out_of_the_comparison():
    value = changed(r_2=lambda r, v: math.inf if r >= 15 else v)
    assert judged(value, "binary-r2-falls-earlier").verdict == "reproduced"
    table = frame(rows(value))
    line = summary(table, "r_2", "C&W").loc[16]
    assert math.isinf(line["mean"])
    assert math.isnan(line["spread"])


@pytest.mark.parametrize(
    ("noise", "start", "accuracy", "verdict"),
    [
        (1e-5, None, 4, "not reproduced"),
        (1e-5, 2, 4, "reproduced"),
        (1e-5, 3, 4, "not reproduced"),
        (0.1, 3, 4, "undecided"),
        (1e-5, 2, None, "undecided"),
    ],
)
def test_an_early_fall_that_noise_may_hide_leaves_the_order_undecided(
    noise: float, start: int | None, accuracy: int | None, verdict: str
) -> None:
    generator = np.random.default_rng(0)
    r_2 = pd.DataFrame(2 + noise * generator.standard_normal((6, 10)))
    assert linear.much_earlier(r_2, start, accuracy) == verdict


@pytest.mark.parametrize(
    ("change", "noise", "verdict"),
    [
        (0.0, 1e-4, "reproduced"),
        (-0.05, 1e-4, "reproduced"),
        (-0.2, 1e-4, "partly"),
        (0.05, 1e-4, "not reproduced"),
        (-0.15, 0.3, "undecided"),
    ],
)
def test_r_2_is_not_better_only_where_the_rows_exclude_it(change: float, noise: float, verdict: str) -> None:
    draw = np.random.default_rng(1).standard_normal

    def value(round_: int, seed: int, metric: str, attack: str) -> float:
        return 0.99 if metric == "accuracy" else 2 * (1 + change * (round_ > 0) + noise * draw())

    kinds = [("accuracy", ""), ("r_2", "DeepFool"), ("r_2", "C&W")]
    rows = made_rows([0, 0.3, 0.5], range(10), kinds, value, lambda attack: 100)
    assert linear.l2_not_better(("DeepFool", "C&W"))(rows).verdict == verdict
