"""Stage 1: search a space without training."""
