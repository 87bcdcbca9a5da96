"""The claims on CIFAR-10: not run without rows, judged as the LeNets are, failures as the paper has them."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sparse_robust.experiments import Row, Store
from sparse_robust.experiments.statistics import frame
from sparse_robust.studies import ledger
from sparse_robust.studies.catalogue import find
from sparse_robust.studies.cifar.claims import with_first_steps
from sparse_robust.studies.cifar.tables import failures
from sparse_robust.studies.paper import PAPER
from sparse_robust.studies.tables import curves, panels
from test_ledger_lenet import SPARSITY, peaked

NETS = ("vgg", "resnet-32")
DATA = "CIFAR-10, JPEG q75 re-encoding"


def as_in_the_paper(net: str, round_: int, metric: str, attack: str) -> float:
    """Accuracy held for ten rounds; r_inf and r_2 up for six, then down; the ResNet always resists."""
    if metric == "accuracy":
        return PAPER[f"{net}-accuracy"].value - 0.005 * max(round_ - 10, 0)
    if metric.startswith("failures"):
        return 2 if net == "resnet-32" and attack == "DeepFool" else 0
    if metric in ("r_2", "r_2_squared") and attack == "DeepFool" and net == "resnet-32":
        return math.inf
    dense = 0.2 if metric == "r_inf" else 0.3
    return peaked(round_, 6, dense, 1.2 * dense, (0.9 if metric == "r_inf" else 0.2) * dense)


def rows(net: str, value=as_in_the_paper) -> list[Row]:
    (spec,) = find(net).specs["paper"]
    generator = np.random.default_rng(0)

    def jitter(metric: str) -> float:
        return 0.0 if metric.startswith("failures") else 1e-5 * float(generator.standard_normal())

    return [
        Row(
            experiment=net,
            spec=spec.key,
            seed=seed,
            round=round_,
            sparsity=SPARSITY[round_],
            metric=metric,
            attack=attack,
            value=value(net, round_, metric, attack or "") + jitter(metric),
            n=10_000,
            stderr=None,
            commit="abc",
            dirty=False,
            torch="2",
            device="a GPU",
            data="d",
            data_description=DATA,
            seconds=1.0,
        )
        for round_ in range(17)
        for seed in range(10)
        for metric, attack in spec.names
    ]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results", tmp_path / "cache")


def of(net: str) -> list[str]:
    return [c.name for c in ledger.CLAIMS if c.experiment == net and not c.controls]


def test_both_networks_have_the_claims_of_the_lenets_that_the_paper_makes_of_them() -> None:
    shared = {name.removeprefix("lenet-5-") for name in of("lenet-5")} - {"rinf-dense", "r2-dense"}
    assert {name.removeprefix("vgg-") for name in of("vgg")} == shared
    assert {name.removeprefix("resnet-32-") for name in of("resnet-32")} == shared | {"resists"}


@pytest.mark.parametrize("profile", ["published", "smoke", "laptop", "paper"])
def test_without_rows_every_claim_is_not_run(store: Store, profile: str) -> None:
    found = ledger.findings(profile, store)
    reasons = {found[name].why for net in NETS for name in of(net)}
    assert {found[name].verdict for net in NETS for name in of(net)} == {"not run"}
    assert reasons == {"no rows of this profile are stored"}


@pytest.mark.parametrize("net", NETS)
def test_rows_like_the_paper_reproduce_every_claim_and_say_what_the_images_were(
    store: Store, net: str
) -> None:
    made = rows(net)
    store.add_rows(net, "paper", made)
    found = ledger.findings("published", store)
    for name in of(net):
        assert found[name].verdict == "reproduced", (name, found[name])
        assert DATA in found[name].why or name.endswith("resists")
    assert "dense 2.0 of" in found["resnet-32-resists"].ours or net == "vgg"
    assert ledger.findings("laptop", store)[of(net)[0]].verdict == "not run", (
        "published, and said so beside it"
    )


def test_unfinished_rows_are_not_run(store: Store) -> None:
    store.add_rows("vgg", "paper", rows("vgg")[:-1])
    assert "unfinished" in ledger.findings("published", store)["vgg-accuracy"].why


@pytest.mark.parametrize(
    ("off", "verdict"), [(0.002, "reproduced"), (0.01, "partly"), (-0.02, "not reproduced")]
)
def test_accuracy_is_met_within_a_standard_error(store: Store, off: float, verdict: str) -> None:
    def value(net: str, round_: int, metric: str, attack: str) -> float:
        return as_in_the_paper(net, round_, metric, attack) + (off if metric == "accuracy" else 0)

    store.add_rows("vgg", "paper", rows("vgg", value))
    assert ledger.findings("published", store)["vgg-accuracy"].verdict == verdict


@pytest.mark.parametrize(("seeds", "verdict"), [(0, "not reproduced"), (3, "partly"), (6, "reproduced")])
def test_resistance_is_counted_over_seeds(seeds: int, verdict: str) -> None:
    (claim,) = [c for c in ledger.CLAIMS if c.name == "resnet-32-resists"]
    kinds = [("accuracy", "", 0.9), ("failures", "DeepFool", 1.0)]
    table = pd.DataFrame(
        [
            {
                "round": r,
                "seed": s,
                "metric": m,
                "attack": a,
                "value": v if m == "accuracy" or s < seeds else 0.0,
                "sparsity": SPARSITY[r],
                "n": 1000,
            }
            for r in range(3)
            for s in range(10)
            for m, a, v in kinds
        ]
    )
    assert claim.judge(table).verdict == verdict


def test_tables_count_failures_as_the_paper_does() -> None:
    """The made ResNet resists in every round; its r_2 with first iterations is finite."""
    table = frame(rows("resnet-32"))
    failed = failures(table)
    assert failed["round"].tolist() == list(range(17))
    assert (failed.failures == 20).all()
    assert failed["r_2"].eq(math.inf).all()
    shown = curves(with_first_steps(table), panels("FGS", "DeepFool"))
    assert shown.label.unique().tolist() == ["FGS", "accuracy", "DeepFool", "DeepFool, squared"]
    assert (shown["mean"].notna() & shown.seeds.eq(10)).all()
    assert curves(table, panels("FGS", "DeepFool"))["mean"].isna().sum() == 2 * 17, "infinite, and not drawn"


def test_first_steps_take_the_place_of_infinite_distances() -> None:
    table = pd.DataFrame(
        {
            "metric": ["r_2", "r_2_first_step", "r_2", "r_2_squared", "r_2_squared_first_step", "accuracy"],
            "attack": ["DeepFool", "DeepFool", "C&W", "DeepFool", "DeepFool", ""],
            "value": [math.inf, 1.0, 2.0, math.inf, 3.0, 0.9],
        }
    )
    found = with_first_steps(table)
    assert found.set_index(["metric", "attack"]).value.to_dict() == {
        ("r_2", "DeepFool"): 1.0,
        ("r_2", "C&W"): 2.0,
        ("r_2_squared", "DeepFool"): 3.0,
        ("accuracy", ""): 0.9,
    }
    assert table.value.isin([math.inf]).sum() == 2, "the table itself is untouched"
