"""The commands that judge scores and compare spaces: correlate, regret, edf."""
