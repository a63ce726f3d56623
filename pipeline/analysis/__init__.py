"""Arrays in, statistics out."""
