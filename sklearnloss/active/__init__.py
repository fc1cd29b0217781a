"""Active learning: which rows to label next, with any scikit-learn classifier or regressor."""
