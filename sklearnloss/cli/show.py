"""What the commands print: columns, fields, JSON.

On a terminal the last column takes the width that is left. Elsewhere nothing is cut or wrapped: a line is a record.
"""

import json
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

__all__ = ["console", "plain", "print_columns", "print_fields", "print_json"]

GAP = 2  # cells between columns
ROOM = 36  # cells that the last column should have before another column gives way
WIDEST = 100  # cells of a line of prose


def console() -> Console:
    """Return a console on the present stdout that takes every character as it is."""
    return Console(markup=False, emoji=False, highlight=False, soft_wrap=True)


def plain(text: str) -> str:
    """Return a line of a docstring without its markup: ``code``, ``[1]_``.

    Examples
    --------
    >>> plain("At ``lam=1`` it is known [2]_.")
    'At lam=1 it is known [2].'
    """
    return re.sub(r"``|(?<=\d\])_", "", text)


def print_json(data: Any) -> None:
    """Print standard JSON."""
    print(json.dumps(data, indent=2, allow_nan=False))


def print_columns(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, droppable: Sequence[str] = (), cut: bool = False
) -> None:
    """Print rows under a header; a column without any entry is left out.

    Parameters
    ----------
    header : sequence of str
        Names of the columns.
    rows : iterable of sequence of str
        A cell per column.
    droppable : sequence of str, default=()
        Columns that give way on a narrow terminal, in that order.
    cut : bool, default=False
        Whether a terminal shows of the last column what fits on a line, not all of it on several.
    """
    out = console()
    table = [list(header), *(list(row) for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    *kept, last = [i for i in range(len(header)) if i == 0 or any(row[i] for row in table[1:])]
    margin = sum(widths[i] + GAP for i in kept)
    for i in map(header.index, droppable) if out.is_terminal else ():
        if i in kept and out.width - margin < min(ROOM, widths[last]):
            kept.remove(i)
            margin -= widths[i] + GAP
    for number, row in enumerate(table):
        line = Text(style="" if number else "dim")
        for i in kept:
            line.append(set_cell_size(row[i], widths[i]) + " " * GAP, "bold" if number and i == 0 else "")
        _print_wrapped(out, line, row[last], cut=cut)


def print_fields(fields: Iterable[tuple[str, str]], *, indent: int = 0) -> None:
    """Print names and values side by side, those without a value not at all."""
    out = console()
    fields = [(name, value) for name, value in fields if value]
    width = max((cell_len(name) for name, _ in fields), default=0)
    for name, value in fields:
        start = Text(" " * indent).append(set_cell_size(name, width) + " " * GAP, "cyan")
        _print_wrapped(out, start, value)


def _print_wrapped(out: Console, start: Text, value: str, *, cut: bool = False) -> None:
    """Print a value after the start of its line; on a terminal further lines stand under its first."""
    margin, lines = start.cell_len, value.splitlines() or [""]
    if out.is_terminal and cut:
        first = Text(lines[0])
        first.truncate(max(12, out.width - margin), overflow="ellipsis")
        lines = [first.plain]
    elif out.is_terminal:
        room = max(20, min(out.width, WIDEST) - margin)
        lines = [piece for line in lines for piece in textwrap.wrap(line, room, break_long_words=False) or [""]]
    for line in lines:
        start.append(line).rstrip()
        out.print(start)
        start = Text(" " * margin)
