"""Proofs of the chapters on threat models and attacks."""
