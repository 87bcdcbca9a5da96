"""Every experiment of the book by name."""

from collections.abc import Mapping

from sparse_robust.experiments import Experiment

from .activation import specs as activation
from .cifar import specs as cifar
from .clever import specs as clever
from .lenet import specs as lenet
from .linear import specs as linear
from .over_pruning import specs as over_pruning
from .surgery import specs as surgery

CATALOGUE: Mapping[str, Experiment] = {
    experiment.name: experiment
    for study in (linear, lenet, activation, cifar, clever, over_pruning, surgery)
    for experiment in study.EXPERIMENTS
}


def find(name: str) -> Experiment:
    """The experiment called ``name``.

    Raises:
        KeyError: if there is none; the message lists the known names.
    """
    if name not in CATALOGUE:
        raise KeyError(f"no experiment {name!r}; known: {', '.join(CATALOGUE)}")
    return CATALOGUE[name]
