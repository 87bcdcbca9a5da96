"""Proofs of the part on linear models."""
