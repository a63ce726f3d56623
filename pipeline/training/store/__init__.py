"""Images on disk: written once as Arrow files, shared by the workers of a machine, read when they are needed."""
