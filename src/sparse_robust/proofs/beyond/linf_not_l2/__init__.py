"""Proofs of the chapter on why sparsity helps against l_inf and not against l_2."""
