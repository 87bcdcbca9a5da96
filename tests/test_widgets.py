"""The interactive figures in a real browser, from the files of book/_static, against what Python computes."""

import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser, Page

from chromium import PATIENCE, SIZES, WIDTH, grave, launched, need_chromium, served
from notebooks import BOOK
from sparse_robust.attacks import deepfool, fast_gradient_sign
from sparse_robust.book import playground, widgets
from sparse_robust.book.cells import load_rows
from sparse_robust.book.small_net import WINDOW, small_net
from sparse_robust.data import embedded_digits
from sparse_robust.experiments.statistics import summary
from sparse_robust.theory.lipschitz import lipschitz_power
from sparse_robust.theory.regions import regions

need_chromium()

STATIC = BOOK / "_static"
CARRIED = json.loads((playground.FOLDER / "networks.json").read_text(encoding="utf-8"))
THEME = {
    "light": "--pst-color-text-base: #222832; --pst-color-surface: #f5f5f5; --pst-color-border: #d1d5da;"
    " --pst-color-background: #fff;",
    "dark": "--pst-color-text-base: #ced6dd; --pst-color-surface: #29313d; --pst-color-border: #48566b;"
    " --pst-color-background: #14181e;",
}
"""The colours of the site's theme that the widgets use."""


@functools.cache
def shown(name: str) -> str:
    figures = {"Figure 1": load_rows("linear-binary", "published")}
    figures["Figure 2"] = load_rows("lenet-300-100", "published")
    made = {
        "sparsity": lambda: widgets.sparsity(figures),
        "attack": lambda: widgets.attack(CARRIED),
        "regions": lambda: widgets.small_regions(small_net()),
    }
    return str(made[name]().data)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(STATIC) as where:
        yield where


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as chromium:
        yield chromium


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Any]:
    """A page with one widget, in a fresh profile; what it asks of others or complains of fails the test."""
    trouble: list[str] = []
    contexts = []

    def open_(name: str, *, size: str = "desk", scheme: str = "light", scripts: bool = True) -> Page:
        context = browser.new_context(viewport=SIZES[size], java_script_enabled=scripts)  # type: ignore[arg-type]
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        text = (
            f'<!doctype html><html lang="en" data-theme="{scheme}"><head><title>{name}</title>'
            '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f'<link rel="icon" href="data:,"><link rel="stylesheet" href="book.css">'
            f"<style>html {{ {THEME[scheme]} }} body {{ background: var(--pst-color-background) }}</style>"
            f'<script src="page.js"></script></head><body><main><article><h1>{name}</h1><h2>{name}</h2>'
            f"<h3>{name}</h3>{shown(name)}</article></main></body></html>"
        )
        page.route("**/test.html", lambda route: route.fulfill(body=text, content_type="text/html"))
        page.on("request", lambda r: None if r.url.startswith((address, "data:")) else trouble.append(r.url))
        page.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: trouble.append(str(e)))
        page.goto(address + "test.html")
        if scripts:
            page.wait_for_selector("[data-ready]")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert trouble == []


def attack_when_it_is_the_attack(page: Page, name: str) -> None:
    if name == "attack":
        page.get_by_role("button", name="Attack").click()
        page.wait_for_selector("section .pictures")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desk", "phone"])
@pytest.mark.parametrize("name", ["sparsity", "attack", "regions"])
def test_everybody_can_use_it(visit, name: str, size: str, scheme: str) -> None:
    page = visit(name, size=size, scheme=scheme)
    attack_when_it_is_the_attack(page, name)
    assert page.evaluate(WIDTH) <= SIZES[size]["width"]
    assert grave(page) == []
    assert page.locator("[aria-live=polite]").inner_text().strip()


@pytest.mark.parametrize("name", ["sparsity", "attack", "regions"])
def test_without_scripts_a_table_stays(visit, name: str) -> None:
    page = visit(name, scripts=False)
    assert page.locator("table tbody tr").first.is_visible()


def test_the_slider_says_the_row_of_its_round(visit) -> None:
    page = visit("sparsity")
    page.get_by_label("Figure 2").check()
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    rows = load_rows("lenet-300-100", "published")
    said = page.locator("[aria-live]").inner_text().replace("\u202f", " ")
    clean, distance = summary(rows, "accuracy"), summary(rows, "r_2", "DeepFool")
    assert f"After round 1, at sparsity {100 * clean.sparsity[1]:.1f} %" in said
    assert f"accuracy {100 * clean['mean'][1]:.1f} % ± {100 * clean.spread[1]:.1f} %" in said
    assert f"r₂ (DeepFool) {distance['mean'][1]:.3f} ± {distance.spread[1]:.3f}" in said


def test_the_arrays_load_only_when_the_attack_is_used(visit) -> None:
    page = visit("attack")
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url))
    page.wait_for_load_state("networkidle")
    assert asked == []
    page.get_by_label("7", exact=True).check()
    page.wait_for_selector("section .pictures")
    assert [url.rsplit("/", 1)[1] for url in asked] == ["networks.bin"]


def test_attacks_in_the_browser_are_those_of_the_package(visit) -> None:
    """Float64 in both: the same classes, the same FGS image and the same DeepFool distance."""
    images, labels = widgets.one_of_each(embedded_digits().test)
    page, eps = visit("attack"), 0.1
    there = page.evaluate(
        """async ([described, digits, labels, eps]) => {
          const { decode } = await import("/widgets/digits.js");
          const { deepfool, fgs, read, unpack } = await import("/widgets/network.js");
          const buffer = await (await fetch("/playground/networks.bin")).arrayBuffer();
          return described.map((network) => {
            const layers = unpack(network, buffer);
            return digits.map(decode).map((x, n) => {
              const step = fgs(layers, x, labels[n], eps), far = deepfool(layers, x, labels[n]);
              return { before: read(layers, x), step: [...step], after: read(layers, step),
                       beyond: read(layers, far.image), distance: far.distance };
            });
          });
        }""",
        [CARRIED["networks"], json.loads(data_of("attack"))["digits"], labels, eps],
    )
    x, y = torch.from_numpy(images).double() / 255, torch.tensor(labels)
    for name, network, results in zip(
        playground.networks(), playground.networks().values(), there, strict=True
    ):
        step = fast_gradient_sign(network, x, y, eps=eps, box=(0, 1)).x_adv
        far = deepfool(network, x, y)
        read = {key: [r[key] for r in results] for key in results[0]}
        assert read["before"] == network(x).argmax(-1).tolist(), name
        assert read["after"] == network(step).argmax(-1).tolist(), name
        assert read["beyond"] == network(far.x_adv).argmax(-1).tolist(), name
        there_step = torch.tensor(read["step"], dtype=torch.float64)
        assert (there_step - step.flatten(1)).abs().max() < 1e-9, name
        assert read["distance"] == pytest.approx(far.radius.tolist(), rel=1e-4), name


def test_a_drawn_digit_is_attacked(visit) -> None:
    page = visit("attack")
    page.get_by_text("Draw a digit of your own").click()
    pad = page.locator("canvas.pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.15)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.85, steps=8)
    page.mouse.up()
    page.wait_for_selector("section .pictures")
    assert "dense: 1," in page.locator("[aria-live]").inner_text()


def test_regions_and_lipschitz_constants_are_those_of_the_package(visit) -> None:
    """Every number of pruned weights: rational arithmetic here, polygons in float64 there."""
    net = small_net()
    there = visit("regions").evaluate(
        """async (network) => {
          const { lipschitz, pruned, regions } = await import("/widgets/polygons.js");
          return [...Array(network.order.length + 1).keys()].map((count) => {
            const parts = regions(pruned(network, count), network.window);
            return { patterns: parts.map((part) => part.pattern).sort(), constant: lipschitz(parts) };
          });
        }""",
        net.as_lists(),
    )
    for count, state in enumerate(there):
        network = net.difference(count)
        exact = [
            "".join(str(int(on)) for layer in r.pattern for on in layer) for r in regions(network, WINDOW)
        ]
        assert state["patterns"] == sorted(exact), count
        assert state["constant"] ** 2 == pytest.approx(float(lipschitz_power(network, WINDOW, q=2)), rel=1e-9)


def test_the_slider_of_the_small_network_prunes_to_nothing(visit) -> None:
    page = visit("regions")
    page.get_by_role("slider").press("End")
    assert "1 activation region, Lipschitz constant 0.000" in page.locator("[aria-live]").inner_text()


def test_what_is_not_finite_reaches_the_browser_as_null() -> None:
    text = str(widgets.widget("x", {"a": [1.0, float("inf")], "b": "</script>"}, "").data)
    assert json.loads(text.split(">", 2)[2].split("</script>")[0]) == {"a": [1.0, None], "b": "</script>"}


def test_more_weights_than_there_are_cannot_be_pruned() -> None:
    with pytest.raises(ValueError, match="there are 32 weights to prune, got 33"):
        small_net().difference(33)


def data_of(name: str) -> str:
    """The JSON that a widget carries."""
    return shown(name).split('<script type="application/json">')[1].split("</script>")[0]
