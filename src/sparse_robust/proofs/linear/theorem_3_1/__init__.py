"""Proofs of the chapter on Theorem 3.1."""
