"""What the guards need to know about the book: its notebooks, and the numbers in their prose."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
BOOK = ROOT / "book"

TAGS = {
    "parameters",
    "remove-cell",
    "remove-input",
    "hide-input",
    "hide-output",
    "nbval-ignore-output",
    "raises-exception",
    "margin",
}


class Notebook(NamedTuple):
    path: Path
    content: dict[str, Any]

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    def cells(self, kind: str) -> list[dict[str, Any]]:
        return [cell for cell in self.content["cells"] if cell["cell_type"] == kind]


def notebooks() -> list[Notebook]:
    """Every notebook under book/, checkpoints excepted."""
    paths = sorted(path for path in BOOK.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
    return [Notebook(path, json.loads(path.read_text(encoding="utf-8"))) for path in paths]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def tags(cell: dict[str, Any]) -> list[str]:
    return list(cell["metadata"].get("tags", []))


def calls(cell: dict[str, Any], function: str) -> Iterator[ast.Call]:
    """The calls of ``function`` in a code cell; line magics are not Python and are dropped."""
    code = "\n".join(line for line in source(cell).splitlines() if not line.lstrip().startswith(("%", "!")))
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function:
            yield node


# A number of a derivation stands in math, a measured one is glued; what is left in prose is a number
# that somebody typed. The patterns say what is not prose, and which numbers are names of things.
_NOT_PROSE = [
    r"<!--.*?-->",
    r"^(?P<fence>`{3,}|~{3,})(?!\s*\{)[^\n]*\n.*?^(?P=fence)\s*$",  # code, not directives
    r"^(?P<dir>`{3,}|:{3,})\s*\{(?:math|code-block|code|literalinclude|raw|mermaid)\}.*?^(?P=dir)\s*$",
    r"\$\$.*?\$\$",
    r"\\begin\{(?P<env>[a-z]+\*?)\}.*?\\end\{(?P=env)\}",
    r"(?<![\\$])\$(?:\\.|[^$\\])+\$",
    r"(?:\{[\w:+-]+\})?(?P<tick>`+)(?!`).*?(?<!`)(?P=tick)(?!`)",  # code and roles, glue among them
    r"^\s*:[\w.-]+:[^\n]*$",  # directive options
    r"^>[^\n]*$",  # words of the paper, quoted
    r"(?<=\])\([^)\s]*\)",  # targets of links
    r"https?://\S+|<https?://[^>]*>",
    r"</?[a-zA-Z][^>]*>",
    r"\b10\.\d{4,9}/\S+",  # DOI
    r"\barXiv[: ]\d{4}\.\d{4,5}",
]
_NUMBER = r"\d{1,2}(?:\.\d{1,2})*[⁺+]?(?![\d.]*\d|\s*(?:\\?%|per ?cent))"
_PLACES = (
    r"Section|Sect|Theorem|Lemma|Proposition|Corollary|Definition|Remark|Algorithm|Appendix|Chapter|Exercise"
    r"|Example|Figure|Fig|Table|Equation|Eq|Erratum|Errata|Counterexample|Step|Part|Proof|Solution"
)
_NAMES = [
    rf"\b(?:{_PLACES})(?:s|ions)?\.?\s*\(?{_NUMBER}\)?(?:(?:,\s*|\s*(?:,\s*)?(?:and|to|or)\s+|\s*[–/-]\s*)\(?{_NUMBER}\)?)*",
    r"\b(?:version|licen[cs]e|Python|PyTorch|torch|CUDA|NumPy|SymPy|MathJax|CC[ -]BY)[ -]?v?\d+(?:\.\d+)+\b",
    r"\bv?\d+\.\d+\.\d+(?:[.\w]*)\b",
    r"\b(?:90|95|99) ?% (?:confidence|interval|level)",
]
_TYPED = re.compile(
    r"[-+−]?(?:\d[\d,]*)?\.?\d+(?:e[-+]?\d+)?\s*(?:\\?%|per ?cent\b)|\d*\.\d+|\d+e[-+]?\d+", re.IGNORECASE
)
_TYPED_MATH = re.compile(r"\d+\.\d+[^$]*\\%")  # math that only dresses up a measured percentage


def typed_numbers(markdown: str) -> list[str]:
    """Decimals and percentages that stand in the prose of ``markdown``, in the order of the text."""
    found = [match for span in re.findall(r"\$[^$]+\$", markdown) for match in _TYPED_MATH.findall(span)]
    text = markdown
    for pattern in _NOT_PROSE:
        text = re.sub(pattern, " ", text, flags=re.DOTALL | re.MULTILINE)
    for pattern in _NAMES:
        text = re.sub(pattern, " ", text, flags=re.IGNORECASE)
    return found + [match.group().strip() for match in _TYPED.finditer(text)]
