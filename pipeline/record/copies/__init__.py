"""The copy of a run folder in a storage that other machines reach."""
