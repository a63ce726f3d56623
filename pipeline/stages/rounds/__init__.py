"""Rounds: learn from what was trained, choose the next networks, and train them."""
