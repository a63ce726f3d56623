"""How single files are read and written: whole or not at all, with the place of every fault."""
