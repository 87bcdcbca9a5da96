"""Statements and the checks that back them; a folder for each chapter, a registry of them all."""
