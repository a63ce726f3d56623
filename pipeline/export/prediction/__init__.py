"""Classify images with an exported network."""
