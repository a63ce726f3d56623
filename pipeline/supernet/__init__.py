"""Supernets: the weights that the networks of several architectures share, their training and their evaluation."""
