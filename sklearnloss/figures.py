"""Where pictures are drawn: the axes of a new figure."""

from typing import Any

__all__ = ["new_axes"]


def new_axes(who: str, width: float, height: float) -> Any:
    """Return the axes of a new figure, sized in inches.

    Raises
    ------
    ImportError
        If matplotlib is not installed; it names who needs it, and the extra.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(f'{who} needs matplotlib: pip install "sklearnloss[report]"') from error
    return plt.subplots(figsize=(width, height), layout="constrained")[1]
