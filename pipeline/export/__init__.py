"""A network of a run, or of a search space, as an ordinary file."""
