"""Training of supernets: the parts of a study, on the workers of a cluster or in this process."""
