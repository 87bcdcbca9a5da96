"""What is said of later work: sources are in the bibliography, the picture's numbers are the table's."""

import re
from collections import Counter

import pytest

from notebooks import ROOT
from sparse_robust.book.cells import load_rows
from sparse_robust.experiments.statistics import summary
from sparse_robust.studies import later_work


def test_every_work_is_in_the_bibliography_once_with_an_address():
    text = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    entries = re.findall(r"^@\w+\{([^,]+),(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    assert max(Counter(key for key, _ in entries).values()) == 1
    known = dict(entries)
    for work in later_work.WORKS:
        assert "url" in known[work.key] or "arXiv" in known[work.key]


def test_the_drawn_numbers_are_the_printed_ones():
    (merkle,) = [work for work in later_work.WORKS if work.key == "merkle2021pruning"]
    printed = [float(n) for n in re.findall(r"\d\.\d\d", merkle.numbers)]
    assert printed == [distance for _, distance in later_work.MERKLE]
    sparsities = [float(n) / 100 for n in re.findall(r"at ([\d.]+) %", merkle.numbers)]
    assert sparsities == pytest.approx([sparsity for sparsity, _ in later_work.MERKLE[1:]])


def test_distances_are_relative_to_the_dense_network():
    rows = load_rows("lenet-300-100", "published")
    curves = later_work.relative_distances({"ours": rows})
    assert (curves[curves.sparsity == 0]["mean"] == 1).all()
    means = summary(rows, "r_2", "C&W")["mean"]
    ours = curves[curves.label == "ours"]["mean"]
    assert ours.iloc[3] * means[0] == pytest.approx(means[3])
    theirs = curves[curves.label != "ours"]
    assert theirs["mean"].iloc[1] == pytest.approx(3.00 / 2.67)
