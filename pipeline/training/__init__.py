"""Training of one network in plain PyTorch, without Ray or MLflow."""
