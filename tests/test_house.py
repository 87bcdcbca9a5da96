"""The house keeps its own rules: imports one way, exact pins, targets that exist, versions that agree."""

import ast
import importlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import sparse_robust
from notebooks import ROOT
from sparse_robust import reproduce

PACKAGE = ROOT / "src" / "sparse_robust"
FLOORS = (
    ("types", "rng", "__init__"),
    ("data", "models", "theory"),
    ("training", "pruning", "attacks"),
    ("metrics", "images", "verification"),
    ("experiments", "check"),
    ("plots",),
    ("notebook",),
    ("pruned", "image_chapters"),
    ("operated",),
    ("reproduce", "bench", "bench_images"),
    ("__main__",),
)
"""A module imports from the floors below its own, and from its own room."""
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(module: Path) -> Iterator[str]:
    """Rooms of the package that a module imports, absolutely or relatively, at any depth of its code."""
    package = ("sparse_robust", *module.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(module.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join((*base, *([node.module] if node.module else [])))
            names = [f"{origin}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "sparse_robust":
                yield parts[1] if len(parts) > 1 and parts[1] in FLOOR else "__init__"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.relative_to(PACKAGE).as_posix())
def test_imports_point_one_way(module: Path):
    own = room(module)
    for other in imported_rooms(module):
        assert other == own or FLOOR[other] < FLOOR[own], f"{own} imports {other}"


def test_every_room_has_a_floor():
    assert {room(module) for module in MODULES} <= FLOOR.keys()


def test_the_import_scanner_sees_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("test_house.PACKAGE", tmp_path)
    module = tmp_path / "attacks" / "fgs.py"
    module.parent.mkdir()
    module.write_text(
        "import sparse_robust.types\n"
        "from sparse_robust import metrics\n"
        "from sparse_robust.plots import style\n"
        "from ..experiments.runner import run\n"
        "from .. import theory\n"
        "from . import contract\n"
        "def late():\n    import sparse_robust.notebook as n\n"
    )
    expected = ["types", "metrics", "plots", "experiments", "theory", "attacks", "notebook"]
    assert sorted(imported_rooms(module)) == sorted(expected)


SURFACES = [
    module
    for module in MODULES
    if module.parent == PACKAGE or module.name == "__init__.py"
    if module.name != "__main__.py" and module.parent.name != "proofs"
]


@pytest.mark.parametrize("module", SURFACES, ids=lambda module: module.relative_to(PACKAGE).as_posix())
def test_a_surface_declares_exactly_its_public_names(module: Path):
    """Rooms re-export in ``__init__``; a module beside them declares what it defines."""
    name = ".".join(module.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    loaded = importlib.import_module(name)
    declared = set(loaded.__all__)
    assert all(hasattr(loaded, public) for public in declared)
    defined = {
        node.name
        for node in ast.parse(module.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    assert defined <= declared, f"public but not in __all__: {sorted(defined - declared)}"


def tracked() -> list[Path]:
    """The files of the repository; in an archive without git, everything beside what is built."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [path for name in listed.stdout.split("\0")[:-1] if (path := ROOT / name).is_file()]
    built = {
        ".venv",
        "_build",
        ".git",
        "__pycache__",
        ".mypy_cache",
        ".ruff_cache",
        ".pytest_cache",
        ".hypothesis",
    }
    return [path for path in ROOT.rglob("*") if path.is_file() and not built & set(path.parts)]


def test_no_file_names_a_path_of_somebodys_machine():
    pattern = re.compile(rb"(?<![\w./-])/(?:home|root|work|tmp|Users|mnt)/[\w.-]+")
    texts = [
        p
        for p in tracked()
        if p.suffix in {".py", ".md", ".yml", ".toml", ".txt", ".ipynb", ".cff", ".jsonl", ""}
    ]
    found = {path.relative_to(ROOT).as_posix(): pattern.findall(path.read_bytes()) for path in texts}
    assert {name: hits for name, hits in found.items() if hits} == {}


def test_the_top_level_is_the_designed_one():
    allowed = {
        "book",
        "src",
        "tests",
        ".ci",
        ".github",
        "requirements.txt",
        "README.md",
        "_config.yml",
        "_toc.yml",
    }
    allowed |= {"Makefile", "pyproject.toml", "LICENSE", "CITATION.cff", "CHANGELOG.md"}
    allowed |= {".gitignore", ".gitattributes"}
    assert {path.relative_to(ROOT).parts[0] for path in tracked()} <= allowed


def requirements() -> list[str]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


def test_pins_are_exact_and_the_package_is_installed_editable():
    assert requirements()[-1] == "-e ."
    for line in requirements()[:-1]:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[\w.]+", line), f"not an exact pin: {line}"


def test_every_dependency_of_the_package_is_pinned():
    pyproject = (ROOT / "pyproject.toml").read_text()
    wanted = set(re.findall(r'^  "([\w-]+)>=', pyproject, flags=re.MULTILINE))
    assert wanted
    assert wanted <= {line.split("==")[0] for line in requirements()}


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def test_the_makefile_offers_what_the_design_promises():
    assert targets() >= {"help", "book", "reproduce", "test", "serve", "clean", "notebooks"}
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(f"make {target}" in listed for target in targets())


def test_every_make_command_in_the_documents_exists():
    documents = [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        *(ROOT / "book").rglob("*.md"),
        ROOT / "book/intro.ipynb",
    ]
    named = {
        name
        for path in documents
        for name in re.findall(r"`make ([a-z]+)|^make ([a-z]+)", path.read_text(), re.M)
    }
    assert {"reproduce", "book", "test"} <= {a or b for a, b in named} <= targets()


def test_continuous_integration_runs_make_test():
    script = (ROOT / ".ci" / "run").read_text()
    assert script.startswith("#!/usr/bin/env bash\n")
    assert [line for line in script.splitlines() if line.startswith("make")] == ["make test"]
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    assert any(step.get("run") == "bash .ci/run" for step in workflow["jobs"]["test"]["steps"])


def test_versions_agree():
    version = sparse_robust.__version__
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    changelog = (ROOT / "CHANGELOG.md").read_text()
    newest = re.search(r"^## \[(.+?)\] - (.+)$", changelog, flags=re.MULTILINE)
    assert newest is not None
    assert (citation["version"], str(citation["date-released"])) == newest.groups()
    assert citation["version"] == version


def test_the_repository_is_found():
    assert reproduce.repository() == ROOT
