"""One training run shared by several processes: collectives, shares of mini-batches, synchronised statistics."""
