"""Views, one per file: a random version of each row."""
