"""Figures 2 (a-d) and 3: LeNet-300-100 and LeNet-5."""
