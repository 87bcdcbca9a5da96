"""Proofs of the part beyond the paper."""
