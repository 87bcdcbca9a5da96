"""The dependency graph of the statements: complete, without circles, and readable by others."""

import dataclasses
import re
from itertools import pairwise

import networkx as nx
import pytest
from bs4 import BeautifulSoup

from sparse_robust.__main__ import main
from sparse_robust.book import proof_graphs
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


def drawn(html: object) -> BeautifulSoup:
    return BeautifulSoup(html.data, "html.parser")  # type: ignore[attr-defined]


def places(picture: BeautifulSoup) -> list[str]:
    return [str(mark["transform"]) for mark in picture.select("svg a > g")]


@pytest.mark.parametrize("label", THEOREMS)
def test_the_drawing_of_a_theorem_is_complete_and_every_mark_is_a_link(label: str):
    picture, closure = drawn(proof_graphs.proof_graph(label)), graph.closure(label)
    assert {str(link["href"]).partition("#")[2] for link in picture.select("svg a")} == {
        c.label for c in closure
    }
    assert len(picture.select("line")) == len(graph.edges(closure))
    assert next(text.get_text() for text in picture.select("text")) == label, "the theorem is on top"
    heights = sorted(float(str(text["y"])) for text in picture.select("text"))
    assert all(a + 16 <= b for a, b in pairwise(heights)), "labels overlap"
    assert len(set(places(picture))) == len(closure)


def test_the_overview_shows_every_statement_once_on_a_spot_of_its_own():
    picture = drawn(proof_graphs.proof_overview())
    assert sorted(places(picture)) == sorted(set(places(picture)))
    assert len(places(picture)) == len(REGISTRY)
    rows = [text.get_text() for text in picture.select("text")]
    assert len(set(rows)) == len({c.proof.__module__ for c in REGISTRY.values()})
    assert "theorem 3.1: paper" in rows


def test_a_mark_leads_to_the_page_that_states_it_and_says_what_it_is():
    picture = drawn(proof_graphs.proof_graph("thm-3-1"))
    (link,) = picture.select('a[href="../linear/theorem-3-1.html#thm-3-1"]')
    assert link["aria-label"] == link.find("title").get_text()
    assert "(theorem; proved)" in link["aria-label"]
    names = [str(link["aria-label"]) for link in drawn(proof_graphs.proof_overview()).select("svg a")]
    assert not [name for name in names if re.search(r"[$\\{}]", name)]


def test_each_status_has_a_shape_of_its_own():
    assert proof_graphs.SHAPES.keys() == graph.LOOKS.keys()
    assert len(set(proof_graphs.SHAPES.values())) == len(graph.LOOKS)


def test_the_command_line_prints_the_graph_without_running_a_check(capsys, monkeypatch):
    monkeypatch.setattr("sparse_robust.proofs.ledger.check_all", lambda: pytest.fail("ran the checks"))
    assert main(["proofs", "--graph"]) == 0
    assert set(parsed(capsys.readouterr().out).nodes) == set(REGISTRY)
    assert main(["proofs", "--graph", "thm-3-1"]) == 0
    assert set(parsed(capsys.readouterr().out).nodes) == {c.label for c in graph.closure("thm-3-1")}


def test_an_unknown_label_is_one_clear_error(capsys):
    assert main(["proofs", "--graph", "thm-9-9"]) == 2
    assert "no statement 'thm-9-9'; known: " in capsys.readouterr().err
