"""The front page's picture and the ledger as the book shows it: nothing left out, nothing made up."""

import re
from typing import get_args

import pytest
import torch
from bs4 import BeautifulSoup
from torch import Tensor

from notebooks import ROOT
from sparse_robust.book import hero, ledger_page
from sparse_robust.book.cells import load_rows
from sparse_robust.studies import ledger
from sparse_robust.studies.paper import TABLE_1, TABLE_2
from sparse_robust.studies.rules import Verdict


@pytest.fixture(scope="module")
def records() -> dict[str, dict[str, str]]:
    return {entry["name"]: entry for entry in ledger.records("published")}


def soup(html: object) -> BeautifulSoup:
    return BeautifulSoup(html.data, "html.parser")  # type: ignore[attr-defined]


def test_every_claim_belongs_to_one_part_of_the_paper():
    experiments = [name for part in ledger_page.PARTS for name in part.experiments]
    assert sorted(experiments) == sorted({claim.experiment for claim in ledger.CLAIMS})


def test_every_part_names_a_chapter():
    assert all((ROOT / "book" / f"{part.chapter}.ipynb").is_file() for part in ledger_page.PARTS)


def test_the_ledger_shows_every_claim_once_with_its_verdict(records):
    shown = soup(ledger_page.ledger_page("published")).select("details.claim")
    assert [claim["id"] for claim in shown] == [f"claim-{claim.name}" for claim in _in_parts()]
    for claim in shown:
        entry = records[str(claim["id"]).removeprefix("claim-")]
        assert claim["data-verdict"] == entry["verdict"]
        assert entry["verdict"] in claim.summary.get_text()
        assert ("scale" in claim.summary.get_text()) == (entry["label"] != entry["verdict"])


def _in_parts() -> list:
    return [c for part in ledger_page.PARTS for c in ledger.CLAIMS if c.experiment in part.experiments]


def test_a_chapter_shows_the_claims_that_it_asks_for():
    some = ["lenet-5-accuracy", "clever-l2-rises"]
    shown = soup(ledger_page.ledger_page("published", some)).select("details.claim")
    assert {claim["id"] for claim in shown} == {f"claim-{name}" for name in some}


def test_the_boxes_count_every_claim():
    boxes = soup(ledger_page.ledger_page("published")).select("fieldset label")
    counts = [int(re.search(r"\((\d+)\)", box.get_text()).group(1)) for box in boxes]
    assert sum(counts) == len(ledger.CLAIMS)


@pytest.mark.parametrize("verdict", get_args(Verdict))
def test_every_verdict_has_a_sign_a_colour_and_can_be_hidden(verdict: str):
    sheet = (ROOT / "book" / "_static" / "book.css").read_text(encoding="utf-8")
    assert ledger_page.SIGNS[verdict]
    assert f".verdict-{verdict.replace(' ', '-')}" in sheet
    assert f'[data-show="{verdict}"]:not(:checked)) [data-verdict="{verdict}"]' in sheet


def test_the_strip_leads_to_every_claim(records):
    signs = soup(ledger_page.verdict_strip("published")).select("a.sign")
    assert [sign["href"].partition("#claim-")[2] for sign in signs] == [claim.name for claim in _in_parts()]
    for sign in signs:
        verdict = records[sign["href"].partition("#claim-")[2]]["verdict"]
        assert sign.get_text() == ledger_page.SIGNS[verdict]
        assert verdict in sign["aria-label"]


def test_text_of_a_claim_is_text():
    shown = ledger_page._prose("r_inf < r_2 & <b>l_1</b>")
    assert shown == (
        "<i>r</i><sub>∞</sub> &lt; <i>r</i><sub>2</sub> &amp; &lt;b&gt;<i>l</i><sub>1</sub>&lt;/b&gt;"
    )


def test_the_typical_digit_is_the_one_at_the_medians():
    distances = torch.tensor([[1.0, 2.0, 4.0, 8.0, 16.0], [9.0, 3.0, 3.1, torch.inf, 1.0]])
    assert hero.typical(distances) == 2


def strong(z: Tensor) -> Tensor:
    """Two classes by the mean of the upper half of an image; a digit's ten classes of which two are used."""
    score = 40 * (z[:, :14].mean((1, 2)) - 0.15)
    return torch.stack([score, -score, *[torch.full_like(score, -99.0)] * 8], -1)


def test_the_picture_says_what_the_networks_read_and_the_paper_prints():
    rows = load_rows("lenet-300-100", "published")
    figure = hero.hero({"dense": strong, "over-pruned": lambda z: strong(z).flip(-1), "pruned": strong}, rows)
    axes = {axis.get_title(): axis for axis in figure.axes}
    (original,) = [a for title, a in axes.items() if title.startswith("a ")]
    digit = torch.as_tensor(original.images[0].get_array().data)
    for name, network in {"dense": strong, "over-pruned": lambda z: strong(z).flip(-1)}.items():
        image = torch.as_tensor(axes[name].images[0].get_array().data)
        read, distance = re.fullmatch(r"read as (\d) at (\d+\.\d\d)", axes[name].get_xlabel()).groups()
        assert int(network(image[None]).argmax()) == int(read)
        assert float((image - digit).norm()) == pytest.approx(float(distance), abs=0.006)
    sparse = TABLE_2["caffe_lenet300100_sparse"]
    for title, printed in (
        ("correct under attack (FGS)", {TABLE_1["lenet-300-100"][0].r_inf.value, sparse.r_inf}),
        ("mean squared distance to fool it", {TABLE_1["lenet-300-100"][0].r_2.value, sparse.r_2}),
    ):
        (points,) = [line for line in axes[title].lines if str(line.get_label()).startswith("paper")]
        assert printed <= set(points.get_ydata())
