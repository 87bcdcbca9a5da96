"""The built site in a real browser: every page, on a desk and in a hand, in light and in dark.

Needs the site and Chromium; `make test` without Chromium skips these tests, and `.ci/run` installs it.
"""

import functools
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from chromium import PATIENCE, SIZES, THIN_OUT, WIDTH, grave, launched, need_chromium, served
from notebooks import ROOT

SITE = ROOT / "_build" / "html"
MATH_IS_SET = "() => !window.MathJax || (MathJax.startup && MathJax.startup.promise.then(() => true))"

ILLEGIBLE = r"""async () => {
  const wrong = [];
  for (const picture of document.querySelectorAll('article figure img')) {
    if (getComputedStyle(picture).display === 'none') continue;
    picture.loading = 'eager';
    await picture.decode();
    const svg = await (await fetch(picture.src)).text();
    const scale = picture.clientWidth / svg.match(/viewBox="0 0 ([\d.]+) /)[1];
    const sizes = [...svg.matchAll(/<g id="text_\d+">.*?scale\(([\d.]+) -/gs)].map(m => 100 * m[1] * scale);
    if (Math.min(...sizes) < 10) wrong.push(`${picture.src}: labels of ${Math.min(...sizes)} px`);
    const box = picture.closest('.cell_output');
    if (box && box.scrollWidth > box.clientWidth + 1) wrong.push(`${picture.src}: scrolls`);
  }
  return wrong;
}"""
"""Figures whose labels are under 10 CSS pixels, or that scroll inside themselves."""

if not (SITE / "index.html").is_file():
    pytest.skip("there is no site in _build/html: make book", allow_module_level=True)
need_chromium()

PAGES = sorted(
    path.relative_to(SITE).as_posix()
    for path in SITE.rglob("*.html")
    if "_static" not in path.parts and path.name not in ("genindex.html", "prf-prf.html", "search.html")
    if path != SITE / "index.html"
)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(SITE) as where:
        yield where


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as chromium:
        yield chromium


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[functools.partial[Page]]:
    """Open a page in a fresh profile; whatever it asks of others or complains of fails the test."""
    trouble: list[str] = []
    contexts = []

    def open_(name: str, *, size: str = "desk", scheme: str = "light") -> Page:
        context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)  # type: ignore[arg-type]
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("request", lambda r: trouble.append(f"asks {r.url}") if _outside(r.url, address) else None)
        page.on("console", lambda m: trouble.append(f"{m.type}: {m.text}") if m.type == "error" else None)
        page.on("pageerror", lambda e: trouble.append(f"throws {e}"))
        page.goto(address + name)
        page.wait_for_function(MATH_IS_SET)
        return page

    yield functools.partial(open_)
    for context in contexts:
        context.close()
    assert trouble == []


def _outside(url: str, address: str) -> bool:
    return urlsplit(url).scheme in ("http", "https", "ws", "wss") and not url.startswith(address)


every = pytest.mark.parametrize("name", PAGES)


KEYBOARD = "scrollable-region-focusable"
WORDS = """() => {
  const shown = document.querySelector('article').cloneNode(true);
  shown.querySelectorAll('pre, code, mjx-container, script, style, .math').forEach(e => e.remove());
  const nav = [...document.querySelectorAll('nav, .bd-sidebar-primary, .bd-sidebar-secondary, title')]
    .map(e => { const c = e.cloneNode(true);
                c.querySelectorAll('mjx-container, script').forEach(m => m.remove());
                return c.textContent; });
  return shown.textContent + ' ' + nav.join(' ') + ' ' + document.title;
}"""


@every
def test_a_page_on_a_desk_and_in_a_hand_in_light_and_in_the_dark(visit, name: str) -> None:
    """Quiet, no wider than the window, no TeX in words, nobody shut out, every word and label readable."""
    page = visit(name)
    assert page.evaluate(WIDTH) <= SIZES["desk"]["width"]
    assert (
        re.findall(r".{0,30}(?:\\\(|\\\)|\$[^$\n]{1,40}\$|\\[a-zA-Z]{2,}).{0,20}", page.evaluate(WORDS)) == []
    )
    assert (
        grave(page, runOnly=[KEYBOARD]) == []
    )  # before sizes change, as the theme takes a moment after that
    page.set_viewport_size(SIZES["phone"])
    assert page.evaluate(WIDTH) <= SIZES["phone"]["width"]
    assert page.evaluate(ILLEGIBLE) == []

    page.evaluate(THIN_OUT)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("() => document.documentElement.dataset.theme === 'dark'")
    assert grave(page, runOnly=["color-contrast"]) == []
    page.set_viewport_size(SIZES["desk"])
    page.emulate_media(color_scheme="light")
    page.wait_for_function("() => document.documentElement.dataset.theme === 'light'")
    assert grave(page, rules={KEYBOARD: {"enabled": False}}) == []


def test_a_whole_page_of_formulas_and_its_menu_shut_nobody_out(visit) -> None:
    """What the test above thins out, once, on a first visit from a hand in the dark."""
    page = visit("book/foundations/notation.html", size="phone", scheme="dark")
    assert page.evaluate(WIDTH) <= SIZES["phone"]["width"]
    assert page.locator("mjx-container").count() > 0
    assert grave(page) == []


def test_theorem_3_1_is_what_a_search_for_it_finds_first(visit) -> None:
    page = visit("search.html?q=Theorem+3.1")
    page.wait_for_selector("#search-results li a")
    first = page.locator("#search-results li a").first
    assert "theorem-3-1" in (first.get_attribute("href") or "")
    page.wait_for_selector("#search-results p.context")
    words = page.locator("#search-results").inner_text()
    assert not re.search(r"\\[a-zA-Z(]", words), words


def test_a_claim_is_unfolded_by_its_link_and_hidden_by_its_verdict(visit) -> None:
    page = visit("book/back/claims-ledger.html#claim-clever-l2-rises")
    claim = page.locator("#claim-clever-l2-rises")
    assert claim.evaluate("claim => claim.open")
    verdict = claim.get_attribute("data-verdict")
    page.uncheck(f'[data-show="{verdict}"]')
    assert page.locator(f'.claim[data-verdict="{verdict}"]:visible').count() == 0
    assert page.locator(f'.claim:not([data-verdict="{verdict}"]):visible').count() > 0
    page.check(f'[data-show="{verdict}"]')
    assert claim.is_visible()


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("[href*='bibliography']", "Weng"),
        ("[href$='prop-3-1']", "certified radius"),
        ("[href='#equation-weibull']:not(.headerlink)", "exp"),
    ],
    ids=["citation", "statement", "equation"],
)
def test_what_a_link_leads_to_is_shown_where_it_is_hovered(visit, link: str, words: str) -> None:
    page = visit("book/experiments/clever.html")
    page.locator(f"article a.reference.internal{link}").filter(visible=True).last.hover()
    preview = page.locator(".tippy-box")
    preview.wait_for()
    assert words in preview.inner_text()


def test_the_front_page_is_under_three_screens(visit) -> None:
    page = visit("book/intro.html")
    assert page.evaluate("document.documentElement.scrollHeight") < 3 * SIZES["desk"]["height"]
    assert page.locator(".verdict-strip a.sign").first.is_visible()
