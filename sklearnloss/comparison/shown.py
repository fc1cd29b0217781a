"""How results of comparisons show themselves: as text, in a notebook, and as a page."""

import html
import os
from pathlib import Path

from sklearnloss.files import write_atomically

__all__ = ["Shown"]


class Shown:
    """What has a table as text, and a page."""

    def to_text(self, width: int | None = None) -> str:
        """Return the table as text; columns give way where it is wider than ``width``."""
        raise NotImplementedError

    def _page(self) -> str:
        raise NotImplementedError

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write the report: one HTML file that needs nothing else.

        Parameters
        ----------
        path : str or path
            Where to.

        Returns
        -------
        Path

        Raises
        ------
        OutputError
            If it cannot be written; a file that was there is unchanged.
        """
        write_atomically(path, self._page().encode())
        return Path(path)

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.to_text())}</pre>"
