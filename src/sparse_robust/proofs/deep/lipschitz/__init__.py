"""Proofs of the chapter on Lipschitz constants (Lemma 3.1)."""
