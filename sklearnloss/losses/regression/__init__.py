"""Losses of regression: points, quantiles and distributions."""
