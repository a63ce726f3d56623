"""Data sets of labelled images: their files, parts, classes and pixels."""
