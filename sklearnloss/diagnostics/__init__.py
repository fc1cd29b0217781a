"""Diagnostics, one a file: what is going on, as a small result that can be drawn."""
