"""Proofs of the chapter on guarantees (Proposition 3.1)."""
