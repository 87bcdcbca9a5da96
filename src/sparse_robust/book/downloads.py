"""The notebooks that readers take away: as executed, after a first cell that installs what they need."""

import copy

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

ID = "install"
"""Of the first cell."""

FIRST = """\
# Where this book's package is not installed, as on Colab: fetch the book as of this page, and install it.
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("sparse_robust") is None:
    book = Path("sparse-robust").resolve()
    if not book.exists():
        subprocess.run(["git", "clone", "--quiet", "{repository}", str(book)], check=True)
    subprocess.run(["git", "-C", str(book), "checkout", "--quiet", "{commit}"], check=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--editable", f"{{book}}[book]"]
    subprocess.run(install, check=True)
    sys.path.insert(0, str(book / "src"))  # a kernel that runs already does not see editable installs
"""
"""The whole book and not only the package, since chapters read the rows in ``book/results``."""


def with_first_cell(notebook: NotebookNode, repository: str, commit: str) -> NotebookNode:
    """A copy of a chapter that begins with the cell, once, whatever it began with.

    Args:
        notebook: the chapter.
        repository: what git clones.
        commit: what git checks out.

    Raises:
        ValueError: if an address or a commit would end the text that it stands in.
    """
    for part in (repository, commit):
        if not part or any(character in part for character in "\"'\\\n "):
            raise ValueError(f"{part!r} is no repository or commit that git can be given: set REPOSITORY_URL")
    taken = copy.deepcopy(notebook)
    cell = new_code_cell(FIRST.format(repository=repository, commit=commit), id=ID)
    taken.cells = [cell, *(other for other in taken.cells if other.get("id") != ID)]
    return taken


def colab(repository: str, branch: str, page: str) -> str | None:
    """Where Colab opens the notebook of a page from a branch of a repository on GitHub; None elsewhere."""
    host = "https://github.com/"
    if not branch or not repository.startswith(host):
        return None
    return (
        f"https://colab.research.google.com/github/{repository.removeprefix(host)}/blob/{branch}/{page}.ipynb"
    )
