"""Calibrators, one per file: from the scores of held-out rows to probabilities."""
