"""Measurements of scores and selection rules against known accuracies: correlation and regret."""
