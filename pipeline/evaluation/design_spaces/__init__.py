"""Comparison of design spaces by the distributions of their errors, or of their scores."""
