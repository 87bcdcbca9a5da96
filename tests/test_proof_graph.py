"""The dependency graph of the statements: complete, without circles, and readable by others."""

import dataclasses
import re
from itertools import pairwise

import networkx as nx
import pytest
from matplotlib.collections import PathCollection

from sparse_robust.__main__ import main
from sparse_robust.book import figures
from sparse_robust.proofs import graph
from sparse_robust.proofs.registry import registry
from sparse_robust.proofs.statement import REGISTERED

REGISTRY = registry()
THEOREMS = [c.label for c in REGISTRY.values() if c.kind == "theorem"]
NODE = re.compile(r'  "([^"]+)" \[(.*)\];')
EDGE = re.compile(r'  "([^"]+)" -> "([^"]+)";')


def parsed(dot: str) -> nx.DiGraph:
    """A graph from the lines of our DOT; any other line must be of the frame."""
    found = nx.DiGraph()
    lines = dot.splitlines()
    assert lines[0] == "digraph proofs {"
    assert lines[-1] == "}"
    for line in lines[1:-1]:
        if match := NODE.fullmatch(line):
            found.add_node(match[1], **dict(re.findall(r'(\w+)=(?:"((?:[^"\\]|\\.)*)")', match[2])))
        elif match := EDGE.fullmatch(line):
            assert {match[1], match[2]} <= set(found), "an arrow before its ends"
            found.add_edge(match[1], match[2])
        else:
            assert re.fullmatch(r"  (rankdir|node|edge)\b.*;", line), line
    return found


def reference() -> nx.DiGraph:
    whole = nx.DiGraph()
    whole.add_nodes_from(REGISTRY)
    whole.add_edges_from((c.label, name) for c in REGISTRY.values() for name in c.uses)
    return whole


def test_dot_holds_every_statement_and_every_use_and_no_circle():
    found, expected = parsed(graph.to_dot()), reference()
    assert set(found.nodes) == set(expected.nodes)
    assert set(found.edges) == set(expected.edges)
    assert nx.is_directed_acyclic_graph(found)


def test_the_status_is_in_colour_and_shape():
    found = parsed(graph.to_dot())
    looks = {(found.nodes[label]["fillcolor"], found.nodes[label]["shape"]) for label in REGISTRY}
    assert len(looks) == len({c.status for c in REGISTRY.values()})
    assert {c.status for c in REGISTRY.values()} <= set(graph.LOOKS)


def test_quotes_and_backslashes_in_a_title_are_escaped(monkeypatch: pytest.MonkeyPatch):
    label = next(iter(REGISTRY))
    odd = dataclasses.replace(REGISTRY[label], title=r'a "quoted" \infty')
    monkeypatch.setitem(REGISTERED, label, odd)
    assert r"a \"quoted\" \\infty" in parsed(graph.to_dot(label)).nodes[label]["tooltip"]


@pytest.mark.parametrize("label", THEOREMS)
def test_the_closure_is_what_can_be_reached(label: str):
    assert {c.label for c in graph.closure(label)} == {label} | nx.descendants(reference(), label)


def test_layers_are_longest_chains():
    whole = reference()
    for number, names in enumerate(graph.levels(graph.closure())):
        for name in names:
            below = whole.subgraph({name} | nx.descendants(whole, name))
            assert nx.dag_longest_path_length(below) == number


@pytest.mark.parametrize(
    ("uses", "message"),
    [("lem-hoelder", "circle: lem-hoelder, lem-young"), ("no-such-label", "not there: no-such-label")],
)
def test_a_circle_or_a_dangling_use_is_named(uses: str, message: str):
    altered = dataclasses.replace(REGISTRY["lem-young"], uses=(uses,))
    with pytest.raises(ValueError, match=message):
        graph.levels([altered, REGISTRY["lem-hoelder"]])


def dots(figure) -> int:
    """The statements that are drawn, from the scatter plots of all statuses."""
    return sum(len(c.get_offsets()) for c in figure.axes[0].collections if isinstance(c, PathCollection))


@pytest.mark.parametrize("label", THEOREMS)
def test_the_drawing_of_a_theorem_is_complete_and_legible(label: str):
    figure = figures.proof_graph(label)
    closure = graph.closure(label)
    assert dots(figure) == len(closure)
    texts = figure.axes[0].texts
    named = {text.get_text(): text for text in texts if text.get_text()}
    assert set(named) == {c.label for c in closure}
    figure.canvas.draw()
    boxes = sorted((t.get_window_extent() for t in named.values()), key=lambda box: box.y0)
    assert all(a.y1 <= b.y0 for a, b in pairwise(boxes)), "labels overlap"
    assert max(box.x1 for box in boxes) <= figure.bbox.x1, "a label leaves the figure"


def test_the_overview_shows_every_statement_once():
    figure = figures.proof_overview()
    assert dots(figure) == len(REGISTRY)
    rows = [text.get_text() for text in figure.axes[0].texts if text.get_text()]
    assert len(set(rows)) == len({c.proof.__module__ for c in REGISTRY.values()})
    assert "theorem 3.1: paper" in rows
    places = [tuple(p) for c in figure.axes[0].collections for p in c.get_offsets()]
    assert len(set(places)) == len(places), "two statements on one spot"


def test_the_command_line_prints_the_graph_without_running_a_check(capsys, monkeypatch):
    monkeypatch.setattr("sparse_robust.proofs.ledger.check_all", lambda: pytest.fail("ran the checks"))
    assert main(["proofs", "--graph"]) == 0
    assert set(parsed(capsys.readouterr().out).nodes) == set(REGISTRY)
    assert main(["proofs", "--graph", "thm-3-1"]) == 0
    assert set(parsed(capsys.readouterr().out).nodes) == {c.label for c in graph.closure("thm-3-1")}


def test_an_unknown_label_is_one_clear_error(capsys):
    assert main(["proofs", "--graph", "thm-9-9"]) == 2
    assert "no statement 'thm-9-9'; known: " in capsys.readouterr().err
