"""Proofs of the chapters on random masks (Theorem 3.3)."""
