"""Wrong labels: which rows to doubt, how to learn without them, and what several annotators agree on."""
