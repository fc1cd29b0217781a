"""Samplers, one per file: which rows make a batch."""
