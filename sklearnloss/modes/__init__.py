"""Modes of training, one per file."""
