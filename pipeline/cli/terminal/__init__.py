"""What commands print: progress, summaries, messages."""
