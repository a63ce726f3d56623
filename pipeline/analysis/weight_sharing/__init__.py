"""Rankings of architectures under shared weights: agreement with each other and with the truth, limits, bias."""
