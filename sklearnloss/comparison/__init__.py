"""The comparison of losses on the user's own data, and its report."""
