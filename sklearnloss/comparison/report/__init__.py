"""The report of a comparison: one HTML file that needs nothing else."""

from sklearnloss.comparison.findings import Findings

__all__ = ["render"]


def render(comparison: Findings) -> str:
    """Return the page."""
    raise NotImplementedError
