"""The house keeps its own rules: imports one way, exact pins, targets that exist, versions that agree."""

import ast
import importlib
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest
import yaml

import sparse_robust
from notebooks import ROOT, notebooks, source
from sparse_robust.book.reproduce import repository
from sparse_robust.studies import STUDIES as STUDY_NAMES

PACKAGE = ROOT / "src" / "sparse_robust"
FLOORS = (
    ("types", "rng", "__init__"),
    ("data", "models", "theory", "attacks"),
    ("proofs", "training", "pruning", "metrics", "verification"),
    ("measurements",),
    ("experiments",),
    ("studies",),
    ("bench", "check"),
    ("book",),
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


def test_every_room_has_a_floor_and_no_module_is_homeless():
    assert {room(module) for module in MODULES} == FLOOR.keys()
    at_the_root = {module.stem for module in PACKAGE.glob("*.py")}
    assert at_the_root == {"__init__", "__main__", "types", "rng"}


def imported_modules(module: Path) -> Iterator[Path]:
    """The modules of the package that are imported when a module is loaded; of a package, its __init__."""
    package = ("sparse_robust", *module.relative_to(PACKAGE).parent.parts)
    for node in ast.parse(module.read_text()).body:
        if not isinstance(node, ast.ImportFrom):
            continue
        base = package[: len(package) - node.level + 1] if node.level else ()
        origin = (*base, *(node.module.split(".") if node.module else []))
        if origin[:1] != ("sparse_robust",):
            continue
        place = PACKAGE.joinpath(*origin[1:])
        for alias in node.names:
            candidates = (place / f"{alias.name}.py", place.with_suffix(".py"), place / "__init__.py")
            yield next(path for path in candidates if path.is_file())


def test_no_module_imports_itself_in_a_circle():
    graph = nx.DiGraph(
        (module, other) for module in MODULES for other in imported_modules(module) if other != module
    )
    circles = [
        sorted(str(m.relative_to(PACKAGE)) for m in c) for c in nx.strongly_connected_components(graph)
    ]
    assert [circle for circle in circles if len(circle) > 1] == []


FOLDERS = sorted(path for path in (PACKAGE / "studies").iterdir() if path.is_dir() and "__" not in path.name)


@pytest.mark.parametrize("study", FOLDERS, ids=lambda study: study.name)
def test_a_study_is_three_files_of_the_same_names(study: Path):
    assert study.name in STUDY_NAMES
    assert {path.stem for path in study.glob("*.py")} == {"__init__", "specs", "claims", "tables"}


def test_the_import_scanner_sees_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("test_house.PACKAGE", tmp_path)
    module = tmp_path / "attacks" / "fgs.py"
    module.parent.mkdir()
    module.write_text(
        "import sparse_robust.types\n"
        "from sparse_robust import metrics\n"
        "from sparse_robust.studies import style\n"
        "from ..experiments.runner import run\n"
        "from .. import theory\n"
        "from . import contract\n"
        "def late():\n    import sparse_robust.book as n\n"
    )
    expected = ["types", "metrics", "studies", "experiments", "theory", "attacks", "book"]
    assert sorted(imported_rooms(module)) == sorted(expected)


FACES = [module for module in MODULES if module.name == "__init__.py" and "import" in module.read_text()]


def imported_through_faces() -> dict[str, set[str]]:
    """By package, the names that are imported through its face: by other rooms, by tests and by chapters."""
    files = {path: path.read_text() for path in [*MODULES, *(ROOT / "tests").glob("*.py")]}
    for notebook in notebooks():
        files[notebook.path] = "\n".join(source(cell) for cell in notebook.cells("code"))
    names: dict[str, set[str]] = {}
    for path, text in files.items():
        own = "sparse_robust." + room(path) if path.is_relative_to(PACKAGE) else ""
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level and node.module != own:
                names.setdefault(node.module, set()).update(alias.name for alias in node.names)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                names.setdefault(f"sparse_robust.{node.value.id}", set()).add(node.attr)
    return names


THROUGH = imported_through_faces()


@pytest.mark.parametrize("face", FACES, ids=lambda face: face.relative_to(PACKAGE).as_posix())
def test_a_face_exports_what_is_used_through_it_and_no_more(face: Path):
    name = ".".join(face.parent.relative_to(PACKAGE.parent).parts)
    loaded = importlib.import_module(name)
    declared = set(loaded.__all__)
    assert all(hasattr(loaded, public) for public in declared)
    assert declared <= THROUGH[name], f"nobody uses through it: {sorted(declared - THROUGH[name])}"


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
        "requirements.lock",
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


def test_pins_are_exact():
    for line in requirements():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[\w.]+", line), f"not an exact pin: {line}"


def test_every_package_is_locked_with_hashes():
    """Those that others bring, too; pip then takes no file that is not one of these."""
    assert ROOT / "requirements.lock" in tracked()
    lock = (ROOT / "requirements.lock").read_text()
    blocks = re.findall(r"^([\w.-]+)==([\w.]+)[^\n]*((?:\n    --hash=\S+[^\n]*)*)", lock, flags=re.MULTILINE)
    assert len(blocks) == len(re.findall(r"^[\w.-]+==", lock, flags=re.MULTILINE))
    assert all("--hash=sha256:" in hashes for _, _, hashes in blocks)
    locked = {f"{name}=={version}" for name, version, _ in blocks}
    assert {line.lower() for line in requirements()} <= locked, "out of date: make lock"
    assert len(blocks) > 2 * len(requirements())
    recipe = (ROOT / "Makefile").read_text()
    assert "--require-hashes --requirement requirements.lock" in recipe
    assert "--no-deps --no-build-isolation --editable ." in recipe


def test_every_dependency_of_the_package_is_pinned():
    pyproject = (ROOT / "pyproject.toml").read_text()
    wanted = set(re.findall(r'^  "([\w-]+)>=', pyproject, flags=re.MULTILINE))
    assert wanted
    assert wanted <= {line.split("==")[0] for line in requirements()}


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def test_the_makefile_offers_what_the_design_promises():
    assert targets() >= {"help", "book", "reproduce", "test", "serve", "clean", "notebooks", "lock"}
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


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_and_may_do_as_little_as_they_can(path: Path):
    used = re.findall(r"uses: (\S+)(.*)", path.read_text())
    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action), f"pin {action} by its commit"
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), f"say which release {action} is"
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    able = {name for name, job in workflow["jobs"].items() if "write" in job.get("permissions", {}).values()}
    assert able <= {"publish", "notebooks"}
    run = [step["run"] for name in able for step in workflow["jobs"][name]["steps"] if "run" in step]
    lines = [line for script in run for line in script.splitlines()]
    assert all(line.startswith("git ") for line in lines), "a job that may write runs no code of ours"


def test_publishing_waits_for_the_tests():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "pages.yml").read_text())
    trigger = workflow[True]  # YAML reads "on" as true
    assert list(trigger) == ["workflow_run"]
    assert trigger["workflow_run"]["workflows"] == ["test"]
    assert "conclusion == 'success'" in workflow["jobs"]["build"]["if"]
    assert workflow["jobs"]["publish"]["needs"] == "build"


def test_versions_agree():
    version = sparse_robust.__version__
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    changelog = (ROOT / "CHANGELOG.md").read_text()
    newest = re.search(r"^## \[(.+?)\] - (.+)$", changelog, flags=re.MULTILINE)
    assert newest is not None
    assert (citation["version"], str(citation["date-released"])) == newest.groups()
    assert citation["version"] == version


def test_the_repository_is_found():
    assert repository() == ROOT


def test_no_two_public_classes_share_a_name():
    names = Counter(
        node.name
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []
