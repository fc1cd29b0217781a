"""Mixups, one per file."""
