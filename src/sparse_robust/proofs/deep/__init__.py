"""Proofs of the part on deep networks."""
