"""Record of a run: ledgers, documents, provenance and their copies."""
