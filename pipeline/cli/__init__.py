"""The command line: typer commands and the terminal, the composition root."""
