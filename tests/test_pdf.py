"""The book as a PDF: joined without a dead link or an anchor twice, and with the right page numbers."""

import io
import shutil
from collections import Counter
from pathlib import Path

import pytest
from pypdf import PdfReader

from sparse_robust.book import pdf

PAGE = """<!doctype html><html><head><title>t</title><link rel="stylesheet" href="{up}_static/s.css"></head>
<body><nav>menu</nav><article><h1>{title}<a class="headerlink" href="#top">#</a></h1>
<p id="top">{text}</p><a href="#top">here</a> <a href="{other}#top">there</a> <a href="gone.html">gone</a>
<a href="https://example.org/x">outside</a><img src="{up}_images/i.png" alt="i">
<details><summary>more</summary><p>folded {title}</p></details>
<h2>Part of {title}</h2><p>{text}</p></article></body></html>"""
CHAPTERS = ["book/a.html", "book/deep/b.html", "book/c.html"]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    long = "word " * 900
    for name, title, other, text in (
        (CHAPTERS[0], "Alpha", "deep/b.html", "few"),
        (CHAPTERS[1], "Beta", "../c.html", long),
        (CHAPTERS[2], "Gamma", "a.html", "few"),
    ):
        up = "../" * name.count("/")
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(PAGE.format(up=up, title=title, other=other, text=text))
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "s.css").write_text("h1 { break-before: page } .cover { break-after: page }")
    return tmp_path


def test_joined_chapters_link_to_each_other(site: Path):
    whole = pdf.join(site, CHAPTERS, [])
    anchors = Counter(str(element["id"]) for element in whole.find_all(id=True))
    assert max(anchors.values()) == 1
    links = [str(link["href"]) for link in whole.find_all("a", href=True)]
    assert {link[1:] for link in links if link.startswith("#")} <= set(anchors)
    assert [link for link in links if not link.startswith("#")] == ["https://example.org/x"] * 3
    there = [str(a["href"]) for a in whole.find_all("a", string="there")]
    assert there == ["#book-deep-b-html--top", "#book-c-html--top", "#book-a-html--top"]
    assert all((site / str(link["href"])).is_file() for link in whole.find_all("link", href=True))
    assert {str(image["src"]) for image in whole.find_all("img")} == {"_images/i.png"}
    assert all(details.has_attr("open") for details in whole.find_all("details"))
    assert "menu" not in whole.get_text()


def test_a_site_that_is_not_built_is_named(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: name)
    with pytest.raises(FileNotFoundError, match=r"a\.html: not built; make book"):
        pdf.print_book(tmp_path, CHAPTERS, tmp_path / "book.pdf")


def test_no_browser_is_said(site: Path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(FileNotFoundError, match="apt-get install chromium"):
        pdf.print_book(site, CHAPTERS, site / "book.pdf")


@pytest.mark.skipif(not any(map(shutil.which, pdf.BROWSERS)), reason="no Chromium")
def test_the_contents_name_the_pages_on_which_chapters_begin(site: Path):
    count = pdf.print_book(site, CHAPTERS, site / "book.pdf")
    reader = PdfReader(io.BytesIO((site / "book.pdf").read_bytes()))
    text = [page.extract_text() for page in reader.pages]
    assert count == len(text)
    assert not (site / pdf.JOINED).exists()
    titles = [entry.title for entry in reader.outline if not isinstance(entry, list)]
    assert titles == ["Alpha", "Beta", "Gamma"]
    for title in titles:
        (start,) = [n for n, page in enumerate(text, 1) if page.lstrip().startswith(title)]
        assert f"{title}{start}" in text[1].replace(" ", "").replace("\n", "")
    assert all(text[n - 1].rstrip().endswith(str(n)) for n in range(2, count + 1))
    assert any("folded Gamma" in page for page in text)
