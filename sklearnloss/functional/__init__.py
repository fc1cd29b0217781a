"""Algebra that components share: of tensors, and in numpy of probabilities and embeddings."""
