"""Sparse & Robust: the shared package behind every chapter of the book."""

__version__ = "0.1.0"
__all__ = ["__version__"]
