"""The files of the page that are not Python."""

from importlib.resources import files
from string import Template

from sklearnloss.comparison.report.markup import Html

__all__ = ["fill", "read"]


def read(name: str) -> str:
    """Return the text of a file that lies beside this one."""
    return files("sklearnloss.comparison.report").joinpath(name).read_text(encoding="utf-8")


def fill(name: str, **parts: str) -> Html:
    """Return a file with its places filled; parts are put in as they are."""
    return Html(Template(read(name)).substitute(parts))
