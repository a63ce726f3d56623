"""The stages of a run. Each reads the files of the one before and can be run alone."""
