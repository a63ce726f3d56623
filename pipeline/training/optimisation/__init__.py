"""Optimisers, schedules and losses of training recipes."""
