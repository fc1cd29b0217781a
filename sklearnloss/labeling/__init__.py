"""Labeling a table by hand: the most useful rows first, every answer kept as it comes."""
