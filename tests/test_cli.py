"""The command line, as a newcomer uses it."""

import os
import subprocess
import sys

import pytest

from sparse_robust.__main__ import main, seeds
from sparse_robust.experiments import Store
from sparse_robust.studies.catalogue import CATALOGUE
from sparse_robust.studies.ledger import findings


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARSE_ROBUST_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("SPARSE_ROBUST_CACHE", str(tmp_path / "cache"))


def test_run_stores_rows_and_says_where(tmp_path, capsys):
    assert main(["run", "linear-training", "--profile", "smoke", "--device", "cpu", "--seeds", "0-1"]) == 0
    out = capsys.readouterr().out
    path = tmp_path / "results" / "linear-training.smoke.jsonl"
    assert str(path) in out
    assert "MNIST sample" in out
    assert path.read_text().count("\n") == 48  # 4 variants, 2 seeds, 6 numbers


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["run", "figure-7", "--profile", "smoke"], [*CATALOGUE]),
        (
            ["run", "linear-binary", "--profile", "smoke", "--device", "cuda:99"],
            ["cuda:99", "known: auto, cpu"],
        ),
        (["reproduce", "--device", "cuda:99"], ["cuda:99", "use DEVICE=cpu"]),
        (["bench", "cifar", "--device", "cpu", "--steps", "0"], ["--steps must be at least 1, got 0"]),
    ],
)
def test_what_cannot_be_run_is_one_clear_error(arguments, advice, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert all(word in error for word in advice)


@pytest.mark.parametrize(
    "command", [[], ["run"], ["claims"], ["proofs"], ["data"], ["reproduce"], ["bench"], ["bench", "cifar"]]
)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert len(text) > 100
    if command == ["run"]:
        assert all(name in text for name in CATALOGUE)


def test_claims_without_rows_are_not_run(capsys):
    assert main(["claims", "--profile", "smoke"]) == 0
    assert "not run" in capsys.readouterr().out


def test_published_rows_are_found_wherever_the_user_keeps_their_own(monkeypatch):
    elsewhere = findings("published", Store.default())
    monkeypatch.delenv("SPARSE_ROBUST_RESULTS")
    assert elsewhere == findings("published", Store.default())
    assert any(finding.verdict != "not run" for finding in elsewhere.values())


def test_output_in_an_encoding_that_lacks_characters_is_written_out():
    """As a redirect on Windows does; ``data`` prints an ellipsis or none, so the stream is made by hand."""
    code = (
        "from sparse_robust.__main__ import write_in_any_encoding as w; w(); "
        "print('\\N{LESS-THAN OR EQUAL TO} 1')"
    )
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert ended.stdout.split() == [rb"\u2264", b"1"]


def test_data_says_what_is_found(tmp_path, capsys):
    assert main(["data", "--data", str(tmp_path)]) == 0
    assert str(tmp_path) in capsys.readouterr().out


@pytest.mark.parametrize(("text", "chosen"), [("0-2", (0, 1, 2)), ("3", (3,)), ("0,2,5-6", (0, 2, 5, 6))])
def test_seeds(text, chosen):
    assert seeds(text) == chosen


@pytest.mark.parametrize("text", ["", "x", "2-0", "1,1", "-1", "0-3000000000", "0-9999,20000-20001"])
def test_seeds_that_make_no_sense(text, capsys):
    with pytest.raises(SystemExit):
        main(["run", "linear-binary", f"--seeds={text}"])
    assert "argument --seeds" in capsys.readouterr().err


def test_an_output_that_is_full_is_one_clear_error():
    if not os.path.exists("/dev/full"):
        pytest.skip("a device of Linux")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "sparse_robust", "data"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr == "sparse_robust data: the output: No space left on device\n"


@pytest.mark.parametrize("variable", ["SPARSE_ROBUST_RESULTS", "SPARSE_ROBUST_CACHE"])
def test_a_home_folder_of_nobody_is_one_clear_error(variable, monkeypatch, capsys):
    monkeypatch.setenv(variable, "~nobody-of-this-name/folder")
    assert main(["run", "linear-binary", "--profile", "smoke"]) == 2
    assert "no home folder is known for ~; write the path out" in capsys.readouterr().err


def test_output_may_be_cut_short():
    command = f"{sys.executable} -m sparse_robust claims | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stderr == ""
