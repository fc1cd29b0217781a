"""Bags of rows of which only the proportions of classes, or the mean response, are known."""
