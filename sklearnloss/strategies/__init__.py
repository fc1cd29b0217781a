"""Query strategies, one a file: which rows of a pool to ask first."""
