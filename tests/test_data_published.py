"""The published models: found, downloaded, refused; and read into the networks that are attacked."""

import hashlib
import io
import re
from dataclasses import replace
from email.message import Message
from pathlib import Path

import pytest
import torch

from notebooks import ROOT
from published_models import fabricate
from sparse_robust.data import (
    PUBLISHED_MODELS,
    DataError,
    MissingModelError,
    fetch,
    published,
    published_model,
    read_caffemodel,
)
from sparse_robust.experiments import stages
from sparse_robust.metrics import total_sparsity
from sparse_robust.models import prunable
from sparse_robust.studies.catalogue import CATALOGUE

NAME = "caffe_lenet5_sparse"
SPECS = {spec.weights: spec for spec in CATALOGUE["over-pruning"].specs["smoke"]}


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """What the authors' repository serves in this test, by address; PyTorch's own code downloads."""
    served: dict[str, bytes] = {}

    class Response(io.BytesIO):
        def info(self) -> Message:
            return Message()

    monkeypatch.setattr(fetch, "_answers", lambda url: url in served)
    monkeypatch.setattr("torch.hub.urlopen", lambda request: Response(served[request.full_url]))
    return served


def test_a_file_in_the_data_root_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served) -> None:
    fabricate(tmp_path, monkeypatch)
    monkeypatch.setenv("SPARSE_ROBUST_DATA", str(tmp_path))
    assert published_model(NAME) == published_model(NAME, tmp_path) == tmp_path / "dns" / f"{NAME}.caffemodel"


def test_a_missing_file_is_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served) -> None:
    content = b"weights"
    source = replace(PUBLISHED_MODELS[NAME], sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(published, "PUBLISHED_MODELS", {NAME: source})
    served[source.url] = content
    path = published_model(NAME, tmp_path)
    assert path.read_bytes() == content
    served.clear()
    assert published_model(NAME, tmp_path) == path


def test_what_cannot_be_had_names_file_and_remedy(tmp_path: Path, served) -> None:
    url = PUBLISHED_MODELS[NAME].url
    for reason, content in (("no answer", None), ("invalid hash", b"a page that says: not found")):
        if content is not None:
            served[url] = content
        with pytest.raises(MissingModelError, match=reason) as error:
            published_model(NAME, tmp_path)
        assert f"{NAME}.caffemodel is not there" in str(error.value)
        assert f"get it from {url}" in str(error.value)
        assert "SPARSE_ROBUST_DATA" in str(error.value)
        assert [path.name for path in (tmp_path / "dns").iterdir() if path.suffix != ".lock"] == []


def test_a_data_root_that_cannot_be_written_to_is_no_download(tmp_path: Path, served) -> None:
    (tmp_path / "dns").write_text("a file where the folder should be")
    with pytest.raises(MissingModelError, match="File exists"):
        published_model(NAME, tmp_path)


def test_an_altered_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fabricate(tmp_path, monkeypatch)
    path = tmp_path / "dns" / f"{NAME}.caffemodel"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(DataError, match=r"expected sha256 .*; found .*Delete it"):
        published_model(NAME, tmp_path)


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(KeyError, match="no published model 'alexnet'; known: caffe_lenet300100_original"):
        published_model("alexnet")


def test_every_file_is_pinned() -> None:
    for name, file in PUBLISHED_MODELS.items():
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert re.fullmatch(rf"https://[\w./-]+/[0-9a-f]{{40}}/([\w/]+/)?{name}\.caffemodel", file.url)
    assert set(SPECS) == set(PUBLISHED_MODELS)
    listed = (ROOT / "src" / "sparse_robust" / "data" / "README.md").read_text()
    assert all(file.url in listed and file.sha256 in listed for file in PUBLISHED_MODELS.values())


@pytest.mark.parametrize("name", list(PUBLISHED_MODELS))
def test_weights_arrive_where_they_belong(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fabricate(tmp_path, monkeypatch)
    population = stages.published(SPECS[name], (3, 4), torch.device("cpu"), tmp_path)
    blobs = [b for part in read_caffemodel(published_model(name, tmp_path)) for b in part.blobs]
    for (key, parameter), stored in zip(population.model.named_parameters(), blobs, strict=True):
        for row in parameter.detach():
            assert torch.equal(row.flatten(), torch.from_numpy(stored).flatten()), key
    for key, weight in prunable(population.model).items():
        assert torch.equal(population.masks[key], weight != 0)
    share = 0.5 if "sparse" in name else 0.0
    assert total_sparsity(prunable(population.model)) == pytest.approx([share] * 2, abs=1e-4)
