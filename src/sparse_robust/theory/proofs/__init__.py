"""One module per theorem; importing this package registers every claim, in the order of the book."""

# ruff: noqa: I001 (the order is that of the book)
from . import norms as norms, attacks as attacks, attacks_boxed as attacks_boxed
from . import theorem_3_1 as theorem_3_1
from . import theorem_3_1_sharper as theorem_3_1_sharper
from . import theorem_3_1_errata as theorem_3_1_errata
from . import theorem_3_2 as theorem_3_2
from . import theorem_3_2_attack as theorem_3_2_attack
from . import theorem_3_2_necessity as theorem_3_2_necessity
from . import theorem_3_2_caveats as theorem_3_2_caveats
from . import proposition_3_1 as proposition_3_1
from . import proposition_3_1_errata as proposition_3_1_errata
from . import proposition_3_1_radius as proposition_3_1_radius
from . import lemma_3_1 as lemma_3_1
from . import lemma_3_1_errata as lemma_3_1_errata
from . import lipschitz_chain as lipschitz_chain
from . import lipschitz_layers as lipschitz_layers
from . import mask_inequalities as mask_inequalities
from . import theorem_3_3_percolation as theorem_3_3_percolation
from . import theorem_3_3 as theorem_3_3
from . import theorem_3_3_gaps as theorem_3_3_gaps
from . import theorem_3_3_moments as theorem_3_3_moments
from . import theorem_3_3_norms as theorem_3_3_norms
from . import mask_intervals as mask_intervals
from . import overpruning as overpruning
from . import gaussian as gaussian, gaussian_pruning as gaussian_pruning
