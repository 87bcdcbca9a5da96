"""The page with pictures: one file, nothing from outside, and nothing in it that a model file could start."""

import re

import numpy as np
import torch
from bs4 import BeautifulSoup
from safetensors.torch import save_file

from sparse_robust.__main__ import main


def test_a_page_holds_the_text_and_pictures_and_nothing_else(tmp_path, capsys):
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.rand(30, 1, 5, 5, generator=generator), torch.randn(3, 25, generator=generator)
    dense, hostile = tmp_path / "dense", tmp_path / "<script>alert(1)<$x$>"
    save_file({"</pre><script>a.weight": weight}, dense)
    save_file({"a.weight": weight * (weight.abs() > 0.5)}, hostile)
    np.savez(tmp_path / "d.npz", x=x.numpy(), y=(x.flatten(1) @ weight.mT).argmax(1).numpy())
    report = tmp_path / "report.html"
    status = main(
        ["check", str(dense), str(hostile), "--data", str(tmp_path / "d.npz"), "--report", str(report)]
    )
    assert status in (0, 1)
    printed = capsys.readouterr().out
    content = report.read_text(encoding="utf-8")
    page = BeautifulSoup(content, "html.parser")
    assert page.pre.text.strip() in printed
    assert not page.find_all(["script", "link", "iframe"])
    assert [image["alt"] for image in page.find_all("img")] == [
        "Adversarial images",
        "Distances",
        "Sparsity by layer",
    ]
    assert all(image["src"].startswith("data:image/svg+xml;base64,") for image in page.find_all("img"))
    assert not re.search(r"(src|href)=[\"']?(http|//)", content)


def test_data_that_are_no_images_have_no_pictures(tmp_path, capsys):
    x, weight = torch.rand(30, 7), torch.randn(3, 7)
    save_file({"a.weight": weight}, tmp_path / "m")
    np.savez(tmp_path / "d.npz", x=x.numpy(), y=(x @ weight.mT).argmax(1).numpy())
    command = ["check", str(tmp_path / "m"), "--data", str(tmp_path / "d.npz")]
    main([*command, "--report", str(tmp_path / "r.html")])
    images = BeautifulSoup((tmp_path / "r.html").read_text(), "html.parser").find_all("img")
    assert [image["alt"] for image in images] == ["Distances", "Sparsity by layer"]
