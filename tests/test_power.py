"""What the rules of the ledger can tell, simulated with the noise of rows; verdicts before and after."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from made_rows import made_rows
from sparse_robust.studies import changes, ledger, power
from sparse_robust.studies.paper import PAPER
from sparse_robust.studies.rules import ALPHA

KINDS = [("accuracy", ""), ("r_inf", "FGS"), ("r_inf", "rFGS"), ("r_2", "DeepFool"), ("r_2", "C&W")]


def rows(noise: float, seeds: int = 10, stream: int = 0) -> pd.DataFrame:
    """Nine rounds, accuracy lost in the last two, every other metric flat with independent noise."""
    draw = np.random.default_rng(stream).standard_normal

    def value(round_: int, seed: int, metric: str, attack: str) -> float:
        if metric == "accuracy":
            return 0.98 - 0.02 * max(round_ - 6, 0) + 1e-5 * draw()
        return 1 + noise * draw()

    return made_rows([1 - 0.7**r for r in range(9)], range(seeds), KINDS, value, lambda attack: 1000)


def with_controls(noise: float, seeds: int = 10) -> pd.DataFrame:
    """The same beside controls, of which an attack fails in the last round of random pruning."""
    ways = enumerate(("magnitude", "none", "random"))
    path, trained, random = (rows(noise, seeds, stream).assign(selection=way) for stream, way in ways)
    random.loc[(random["round"] == 8) & (random.attack == "DeepFool"), "value"] = np.inf
    return pd.concat([path, trained, random], ignore_index=True)


def by_round(table: pd.DataFrame, attack: str) -> pd.DataFrame:
    return table[table.attack == attack].pivot(index="round", columns="seed", values="value")


def test_draws_have_the_means_that_are_set_and_the_covariance_of_the_rows() -> None:
    table, kinds = rows(0.1), [("r_2", "DeepFool"), ("r_2", "C&W")]
    drawn = power.redrawn(table, kinds, power.drop(lambda dense: dense - 0.3), draws=300)
    stacked = np.concatenate([by_round(some, "DeepFool") for some in drawn], axis=1)
    source = by_round(table, "DeepFool")
    dense = source.loc[0].mean()
    assert stacked.mean(axis=1) == pytest.approx([dense] + 8 * [dense - 0.3], abs=0.02)
    assert np.cov(stacked) == pytest.approx(np.cov(source.to_numpy()), abs=0.003)
    kept = by_round(drawn[0], "").mean(axis=1)
    assert kept.to_numpy() == pytest.approx(by_round(table, "").mean(axis=1).to_numpy(), abs=1e-4)


@pytest.mark.parametrize("rule", power.RULES, ids=lambda rule: rule.name)
def test_no_rule_misses_an_effect_without_noise_or_takes_noise_for_it(rule: power.Rule) -> None:
    beside = rule.experiments[0].endswith("-controls")
    made = with_controls if beside else rows
    clear = power.power(rule, made(1e-4), draws=3)
    assert clear == {"power": 1, "undecided": 0, "false positives": 0, "partly under the null": 0}
    noisy = power.power(rule, made(0.3, seeds=3), draws=10)
    assert max(noisy[share] for share in ("power", "false positives", "partly under the null")) <= 0.1
    assert noisy["undecided"] >= 0.5


def test_controls_are_drawn_without_the_effect_and_failures_stay_infinite() -> None:
    table = with_controls(1e-4)
    (drawn,) = power.redrawn(table, [("r_2", "DeepFool")], power.drop(lambda dense: 0.5 * dense), draws=1)
    ways = {way: by_round(some, "DeepFool").mean(axis=1) for way, some in drawn.groupby("selection")}
    assert ways["magnitude"].to_numpy() == pytest.approx([1] + 8 * [0.5], abs=1e-3)
    assert ways["none"].to_numpy() == pytest.approx(9 * [1], abs=1e-3)
    assert ways["random"].to_numpy()[:-1] == pytest.approx(8 * [1], abs=1e-3)
    assert np.isinf(ways["random"].iloc[-1])


def test_power_and_level_of_the_simplest_rule_are_those_of_students_test() -> None:
    """One change, independent noise: the non-central t distribution has both in closed form."""
    (rule,) = [r for r in power.RULES if r.name == "falls after one round"]
    change = PAPER["binary-r2-deepfool-dense"].value - PAPER["binary-r2-deepfool-round-1"].value
    table, draws = rows(change), 300
    values = by_round(table, "DeepFool")
    effect = change / (values.loc[1] - values.loc[0]).std()
    exact = stats.nct.sf(stats.t.ppf(1 - ALPHA / 2, 9), 9, effect * 10**0.5)
    shares = power.power(rule, table, draws)
    assert shares["power"] == pytest.approx(exact, abs=4 * (exact * (1 - exact) / draws) ** 0.5 + 0.01)
    assert shares["false positives"] <= ALPHA / 2 + 4 * (ALPHA / 2 / draws) ** 0.5


def test_the_noise_of_a_path_beside_its_controls_is_of_the_seeds_that_all_have() -> None:
    beside = power.noise("published")["lenet-300-100-controls"]
    seeds = {way: frozenset(rows.seed) for way, rows in beside.groupby("selection")}
    assert set(seeds) == {"magnitude", "none", "random"}
    assert len(set(seeds.values())) == 1
    assert "lenet-5-controls" not in power.noise("laptop")


def test_the_table_leaves_out_what_has_no_rows_or_one_seed() -> None:
    some = rows(1e-3)
    tables = {"surgery": some, "lenet-5": some[some.seed == 0], "linear-binary": some.iloc[:0]}
    table = power.of_rules(tables, draws=2)
    assert list(table.experiment) == ["surgery"]
    assert table.power.item() == 1


def test_every_claim_whose_verdict_has_changed_has_a_reason() -> None:
    now = {name: finding.verdict for name, finding in ledger.findings("published").items()}
    named = [name for names in changes.REASONS.values() for name in names]
    assert len(set(named)) == len(named)
    assert set(named) <= set(changes.EARLIER)
    other = {n for n, v in changes.EARLIER.items() if now.get(n) != v and n not in changes.MERGED}
    assert other <= set(named)
    table = changes.before_and_after()
    assert list(table.claim) == named
    assert list(table.before) == [changes.EARLIER[name] for name in named]
