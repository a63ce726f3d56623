"""Stages of a run. Each reads the files of the one before it and can be run alone."""
