"""Readers of labelled images by the form of their source: folders, tables, shards, the Hugging Face Hub."""
