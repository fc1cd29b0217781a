"""Losses for several labels per row."""
