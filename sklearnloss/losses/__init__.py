"""Losses, one per file, in folders by task."""
