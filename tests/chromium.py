"""A real browser for tests: where Chromium is, a folder served to it, and what a page complains of."""

import contextlib
import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
PATIENCE = 10 * 60_000
"""Milliseconds: a busy machine is no fault of a page."""
WIDTH = "() => document.documentElement.scrollWidth"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def need_chromium() -> None:
    """Skip the module where there is no Chromium; in CI, where it is installed, fail."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("there is no Chromium: apt-get install chromium", pytrace=False)
        pytest.skip(
            "there is no Chromium, so no page is tried in a browser: apt-get install chromium",
            allow_module_level=True,
        )


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which the files of ``folder`` can be had."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """Chromium, closed in the end."""
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


THIN_OUT = """() => {
  const each = (what, act) => document.querySelectorAll(what).forEach(act);
  each('mjx-container', formula => formula.replaceWith('x'));
  each('.cell_output svg:not(button *), figure svg', picture => picture.replaceChildren());
  each('.bd-sidebar-primary, .bd-sidebar-secondary', menu => menu.replaceChildren());
  each('tbody', table => [...table.rows].slice(3).forEach(row => row.remove()));
  each('pre', code => {
    const met = new Set();
    for (const word of code.querySelectorAll('span'))
      met.has(word.className) ? word.remove() : met.add(word.className);
  });
}"""
"""Leaves one of a kind where a page holds hundreds, as axe-core's time grows with the square of a page:
three rows of a table, one word of each colour in a listing, a letter for a formula, no menu."""


def grave(page: Page, **options: object) -> list[str]:
    """What axe-core calls serious or critical."""
    page.evaluate("() => document.getAnimations().forEach(a => a.finish())")
    said = Axe().run(page, options={"resultTypes": ["violations"], "preload": False, **options}).response
    return [
        f"{v['id']}: {node['target']}: {node['failureSummary'].splitlines()[-1].strip()[:160]}"
        for v in said["violations"]
        if v["impact"] in ("serious", "critical")
        for node in v["nodes"][:3]
    ]
