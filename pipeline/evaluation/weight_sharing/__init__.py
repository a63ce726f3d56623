"""Studies of weight sharing: rankings of supernets against each other, the truth, and what costs less."""
