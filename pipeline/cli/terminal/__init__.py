"""Output of the commands: progress, summaries, messages."""
