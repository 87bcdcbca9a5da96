"""Addresses in the bibliography have the forms that arXiv, DOI and publishers use, and none is used twice."""

import re
from collections import Counter

from notebooks import ROOT

TEXT = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
ADDRESSES = re.findall(r"^\s*(url|doi) = \{(.+)\},?$", TEXT, flags=re.MULTILINE)
FORMS = {
    "url": r"https://(arxiv\.org/abs/\d{4}\.\d{4,5}|openreview\.net/forum\?id=[\w-]+)",
    "doi": r"10\.\d{4,9}/\S+",
}


def test_addresses_are_well_formed():
    assert [address for kind, address in ADDRESSES if not re.fullmatch(FORMS[kind], address)] == []


def test_no_two_works_share_an_address():
    assert [address for (_, address), count in Counter(ADDRESSES).items() if count > 1] == []


def test_the_paper_and_its_attacks_can_be_followed():
    for key in ("guo2018sparse", "moosavi2016deepfool", "carlini2017towards", "goodfellow2015explaining"):
        (entry,) = re.findall(rf"^@\w+\{{{key},.*?^\}}", TEXT, flags=re.MULTILINE | re.DOTALL)
        assert "https://arxiv.org/abs/" in entry
