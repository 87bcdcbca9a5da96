"""Every experiment of the book by name."""

import importlib
from collections.abc import Mapping

from sparse_robust.experiments import Experiment

from . import STUDIES

CATALOGUE: Mapping[str, Experiment] = {
    experiment.name: experiment
    for study in STUDIES
    for experiment in importlib.import_module(f"{__package__}.{study}.specs").EXPERIMENTS
}


def find(name: str) -> Experiment:
    """The experiment called ``name``.

    Raises:
        KeyError: if there is none; the message lists the known names.
    """
    if name not in CATALOGUE:
        raise KeyError(f"no experiment {name!r}; known: {', '.join(CATALOGUE)}")
    return CATALOGUE[name]
