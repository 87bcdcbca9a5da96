"""The built site: complete, self-contained, linked, described and light.

`make test` builds the site first and sets SPARSE_ROBUST_SITE=required; elsewhere a missing
site skips these tests.
"""

import gzip
import os
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import house
import pytest
from bs4 import BeautifulSoup, Tag

from notebooks import ROOT
from sparse_robust.book import reproduce

SITE = ROOT / "_build" / "html"
GENERATED = {"genindex.html", "search.html", "prf-prf.html", "index.html"}
"""Pages that Sphinx writes by itself; `index.html` only sends the reader on."""
BUDGET = 600_000
"""Bytes of a first visit: page, scripts, styles, pictures, what they fetch; each gzipped alone, level 9."""
FRONT = "book/intro.html"
BUDGET_OF_FRONT = 400_000
LATER = [
    SITE / "_static" / "vendor" / part
    for part in ("icons.woff", *(f"serif/{face}.woff2" for face in ("regular", "italic", "semibold")))
]
"""What the style sheet fetches for the first words."""
FORMULAS = [
    SITE / "_static" / "vendor" / "mathjax" / part
    for part in (
        "core.js",
        "input/tex.js",
        "output/chtml.js",
        "output/chtml/fonts/tex.js",
        "a11y/assistive-mml.js",
        *(
            f"output/chtml/fonts/woff-v2/MathJax_{font}.woff"
            for font in (
                "Main-Regular",
                "Math-Italic",
                "AMS-Regular",
                "Size1-Regular",
                "Size2-Regular",
                "Size3-Regular",
            )
        ),
    )
]
"""What MathJax fetches for the first formulas; rarer fonts come when they are needed."""

PAGES = sorted(page for page in SITE.rglob("*.html") if "_static" not in page.relative_to(SITE).parts)
WRITTEN = [page for page in PAGES if page.relative_to(SITE).as_posix() not in GENERATED]

if not PAGES:
    if os.environ.get("SPARSE_ROBUST_SITE") == "required":
        pytest.fail("there is no site in _build/html, although it was to be tested", pytrace=False)
    pytest.skip("there is no site in _build/html: make book", allow_module_level=True)


def name(page: Path) -> str:
    return page.relative_to(SITE).as_posix()


every = pytest.mark.parametrize("page", PAGES, ids=name)
written = pytest.mark.parametrize("page", WRITTEN, ids=name)


@cache
def parse(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def loaded(page: Path) -> list[str]:
    """What a browser fetches to show the page: links to follow are not among it."""
    soup = parse(page)
    urls = [tag["src"] for tag in soup.find_all(["script", "img", "iframe", "source", "embed"], src=True)]
    for tag in soup.find_all("link", href=True):
        if {"stylesheet", "preload", "icon", "modulepreload"} & set(tag["rel"]):
            urls.append(tag["href"])
    return sorted({str(url) for url in urls})


def local(page: Path, url: str) -> Path:
    return (page.parent / unquote(urlsplit(url).path)).resolve()


def prose(page: Path) -> str:
    """What the reader reads in the article, less code and math."""
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    article = soup.find("article")
    assert isinstance(article, Tag)
    for tag in article.select("pre, code, script, style, .math, mjx-container"):
        tag.decompose()
    return article.get_text(" ")


def test_every_page_of_the_contents_was_built():
    expected = {path.with_suffix(".html").as_posix() for path in reproduce.chapters(ROOT)}
    assert expected <= {name(page) for page in WRITTEN}
    assert (SITE / "sitemap.xml").is_file()


@every
def test_nothing_is_loaded_from_elsewhere(page: Path):
    for url in loaded(page):
        assert not re.match(r"(https?:)?//", url), url
        assert url.startswith("data:") or local(page, url).is_file(), f"missing: {url}"
    inline = "\n".join(tag.get_text() for tag in parse(page).find_all(["script", "style"]))
    assert not re.search(r"(https?:)?//[\w.-]*(unpkg|jsdelivr|cdnjs|googleapis|gstatic|cloudflare)", inline)


def test_no_style_sheet_loads_from_elsewhere():
    sheets = list(SITE.rglob("*.css"))
    assert sheets
    for sheet in sheets:
        text = sheet.read_text(encoding="utf-8", errors="replace")
        assert not re.search(r"""(@import|url\()\s*["']?\s*(url\()?["']?(https?:)?//""", text), sheet


@every
def test_links_within_the_site_resolve(page: Path):
    for link in parse(page).find_all("a", href=True):
        url = urlsplit(str(link["href"]))
        if url.scheme or url.netloc or str(link["href"]) == "#":
            continue
        target = local(page, url.path) if url.path else page
        target = target / "index.html" if target.is_dir() else target
        assert target.is_file(), f"dead link: {link['href']}"
        if url.fragment and target.suffix == ".html":
            anchor = unquote(url.fragment)
            known = parse(target).find(attrs={"id": anchor}) or parse(target).find(attrs={"name": anchor})
            assert known, f"dead anchor: {link['href']}"


@written
def test_the_first_visit_is_light(page: Path):
    urls = loaded(page)
    formulas = FORMULAS if any("mathjax" in url for url in urls) else []
    # of the two drawings of a figure the one that is not shown is not loaded
    shown = [url for url in urls if not url.endswith("-phone.svg")]
    files = [page, *(local(page, url) for url in shown), *LATER, *formulas]
    weights = {file.name: len(gzip.compress(file.read_bytes(), 9)) for file in files}
    heaviest = sorted(weights.items(), key=lambda item: -item[1])[:4]
    budget = BUDGET_OF_FRONT if name(page) == FRONT else BUDGET
    assert sum(weights.values()) < budget, f"{sum(weights.values())} bytes; heaviest: {heaviest}"


@every
def test_every_picture_has_words(page: Path):
    for picture in parse(page).find_all("img"):
        alt = str(picture.get("alt", "")).strip()
        assert alt, f"no alt text: {picture}"
        assert not re.search(r"\.(svg|png|jpe?g)$", alt), f"a file name is no description: {picture}"


@written
def test_every_page_says_what_it_is(page: Path):
    soup = parse(page)
    assert soup.title
    assert soup.title.get_text().strip()
    assert len(soup.select("article h1")) == 1
    for attribute in ({"name": "description"}, {"property": "og:title"}, {"property": "og:description"}):
        tag = soup.find("meta", attrs=attribute)
        assert isinstance(tag, Tag), attribute
        assert len(str(tag["content"]).strip()) >= 10, attribute
    assert soup.find("meta", attrs={"name": "viewport"})
    assert soup.html
    assert soup.html["lang"] == "en"


@written
def test_no_markup_is_left_unresolved(page: Path):
    text = prose(page)
    for pattern in (
        r"\?\?\?",
        r":::",
        r"\{[a-z]+(:[a-z]+)?\}`?",
        r"\[Unknown",
        r"\$[^$\s][^$\n]*\$",
        r"Traceback",
    ):
        assert not re.search(pattern, text), (
            f"{pattern} in: {re.findall('.{0,60}' + pattern + '.{0,60}', text)}"
        )


@written
def test_no_code_stands_where_a_cell_only_shows_something(page: Path):
    for code in parse(page).select(".cell_input pre"):
        assert house.only_call(code.get_text()) not in house.SHOWING


@pytest.mark.parametrize(
    ("source", "call"),
    [
        ('table(\n    frame, "words"\n)', "table"),
        ('verify("thm-3-1")  # in sight', "verify"),
        ("x = 1\ntable(x)", ""),
        ("frame.table(1)", ""),
        ("table", ""),
        ("%matplotlib inline", ""),
        ("", ""),
    ],
)
def test_what_a_cell_does(source: str, call: str):
    assert house.only_call(source) == call
