"""Scores of a torch module that no search space has built."""
