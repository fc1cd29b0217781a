"""Tensor algebra that components share; torch only."""
