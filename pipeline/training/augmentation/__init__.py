"""Changes of training images and of their targets, drawn from a generator: policies, crops, noise, mixing."""
