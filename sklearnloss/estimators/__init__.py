"""Estimators: from X and y to facts and a stream of batches."""
