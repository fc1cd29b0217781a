"""``python -m sklearnloss``."""

from sklearnloss.cli import main

main()
