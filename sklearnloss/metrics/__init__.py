"""Metrics, one per file: one number from true and predicted values, for scikit-learn's `make_scorer`."""
