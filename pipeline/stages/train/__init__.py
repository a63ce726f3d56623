"""Stage 3: train the selected architectures under a scheduler."""
