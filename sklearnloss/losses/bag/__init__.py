"""Losses of bags: what a network predicts for their rows together, against what is known of the bag."""
