"""Reductions, one per file: from one value per row to a scalar."""
