"""``sklearnloss plugins``."""

import warnings
from typing import Annotated

import typer

from sklearnloss.cli.query import load
from sklearnloss.exceptions import PluginWarning

__all__ = ["plugins"]

HEADER = ("name", "distribution", "version", "status", "components", "reason")


def plugins(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the plugins that were found, and why one was not loaded."""
    from sklearnloss.cli.show import print_columns, print_json

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)  # the table has the reason
        found = load()
    rows = [(p.name, p.distribution, p.version, p.status, len(p.components), p.reason) for p in found]
    if json:
        print_json([dict(zip(HEADER, row, strict=True)) for row in rows])
        return
    print_columns(
        HEADER, [(*row[:4], str(row[4]), " ".join(row[5].split())) for row in rows], droppable=("distribution",)
    )
