"""Figures and HTML pages from values."""
