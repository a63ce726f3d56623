"""Reading and writing of single files: whole or not at all, with the place of every fault."""
