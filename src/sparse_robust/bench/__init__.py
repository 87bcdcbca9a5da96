"""How fast the package computes, against peers and in stored runs."""
