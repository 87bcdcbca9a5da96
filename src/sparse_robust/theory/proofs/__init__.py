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
from . import gaussian as gaussian, gaussian_pruning as gaussian_pruning
