"""An experiment as values, and the YAML file that states it."""
