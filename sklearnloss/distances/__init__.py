"""Distances, one per file: how far two embeddings are apart."""
