"""Values that the stages hand on: ledger rows, the front, trained networks. Each reads and writes its own JSON."""
