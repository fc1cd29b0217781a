"""The session on a terminal: a row, keys for its label, and how it goes."""

import os
import select
import sys
from typing import Any, Self

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sklearnloss.labeling.session import Session

try:
    import termios
    import tty
except ImportError:  # Windows
    termios = tty = None  # type: ignore[assignment]

__all__ = ["Keys", "ask_all", "class_keys"]

COMMANDS = {"u": "undo", "s": "skip", "n": "new label", "q": "quit", "?": "keys"}
SHOWN = 40  # columns of a row
WIDE = 400  # characters of a value
PATIENCE = 5.0  # seconds
POLL = 0.2  # seconds between looks at the model while nothing is typed


def class_keys(classes: list[str]) -> dict[str, str]:
    """Return the key of each label: 1 to 9, then letters that are no commands.

    Examples
    --------
    >>> class_keys(["cat", "dog"])
    {'1': 'cat', '2': 'dog'}
    """
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1) if chr(c) not in COMMANDS]
    return dict(zip([*"123456789", *letters, *(c.upper() for c in letters)], classes, strict=False))


class Keys:
    """Keys as they are pressed; where the input is no terminal, a line each.

    Inside ``with keys:`` the terminal shows nothing of what is typed; afterwards it is as it was.
    """

    def __init__(self, stream: Any = None) -> None:
        self.stream = sys.stdin if stream is None else stream
        self.single = termios is not None and self.stream.isatty()
        self._before: Any = None

    def __enter__(self) -> Self:
        if self.single:
            self._before = termios.tcgetattr(self.stream.fileno())
            self._one_by_one()
        return self

    def __exit__(self, *error: object) -> None:
        if self.single:
            termios.tcsetattr(self.stream.fileno(), termios.TCSADRAIN, self._before)

    def _one_by_one(self) -> None:
        tty.setcbreak(self.stream.fileno(), termios.TCSANOW)  # what was typed ahead stays

    def read(self) -> str:
        """Return a key, a line where there are none; an empty text if nothing came for a while."""
        return self._key() if self.single else self._line()

    def _key(self) -> str:
        """Return a key; an empty text if none was pressed for a while."""
        handle = self.stream.fileno()
        if not select.select([handle], [], [], POLL)[0]:
            return ""
        data = os.read(handle, 1)
        if not data:
            return "q"
        first = data[0]
        rest = 0 if first < 0x80 else 3 if first >= 0xF0 else 2 if first >= 0xE0 else 1
        data += os.read(handle, rest) if rest else b""
        if data == b"\x1b":  # an arrow or function key: its other bytes are no answers
            while select.select([handle], [], [], 0.01)[0] and os.read(handle, 1):
                pass
        return {"\r": "\n", "\x04": "q"}.get(text := data.decode(errors="replace"), text)

    def _line(self) -> str:
        line = self.stream.readline()
        if not line:
            return "q"
        return line.strip() or "\n"

    def text(self, prompt: str, console: Console) -> str:
        """Read a line, with what is typed shown."""
        console.print(prompt, end="")
        if not self.single:
            return str(self.stream.readline()).strip()
        handle = self.stream.fileno()
        termios.tcsetattr(handle, termios.TCSADRAIN, self._before)
        try:
            data = bytearray()
            while (byte := os.read(handle, 1)) not in (b"", b"\n"):
                data += byte
        finally:
            self._one_by_one()
        return data.decode(errors="replace").strip()


def ask_all(session: Session, *, console: Console | None = None, keys: Keys | None = None) -> None:
    """Ask row after row, until every row has a label or the user leaves.

    Parameters
    ----------
    session : Session
        What is asked; the caller closes it.
    console : rich Console, default=None
        Where to show rows; None is the terminal.
    keys : Keys, default=None
        Where answers come from; None is the standard input.
    """
    with Keys() if keys is None else keys as opened:
        _ask(session, Console() if console is None else console, opened)


def _ask(session: Session, console: Console, keys: Keys) -> None:
    note = "" if session.classes else "no labels yet: n gives the first a name"
    session.wait(PATIENCE)  # so that the first rows are chosen, too
    redo: int | None = None
    while (row := session.next_row() if redo is None else redo) is not None:
        redo = None
        _show(console, session, row, note)
        note = ""
        while (key := keys.read()) == "":
            pass
        named = class_keys(session.classes)
        if key in named:
            session.answer(row, named[key])
        elif key in session.classes:  # a line may be the label itself
            session.answer(row, key)
        elif key == "\n" and (guess := session.guess(row)):
            session.answer(row, guess[0][0])
        elif key == "s":
            session.skip(row)
        elif key == "u":
            redo = session.undo()
            note = "nothing to take back" if redo is None else f"took the answer to row {redo + 1} back"
        elif key == "n":
            label = keys.text("name of the label: ", console)
            if label:
                session.answer(row, label)
            else:
                redo = row
        elif key == "q":
            return
        elif key == "?":
            note = ", ".join(f"{k} {what}" for k, what in COMMANDS.items()) + ", Enter what the model says"
            redo = row
        else:
            note = f"no label has the key {key!r}"
            redo = row
    console.print("every row has a label")


def _show(console: Console, session: Session, row: int, note: str) -> None:
    if console.is_terminal:
        console.clear()
    values = Table.grid(padding=(0, 2))
    values.add_column(style="dim", no_wrap=True)
    values.add_column(overflow="fold")
    record = session.shown.iloc[row]
    for name, value in list(record.items())[:SHOWN]:
        values.add_row(str(name), Text(_short(value)))
    if len(record) > SHOWN:
        values.add_row("", f"and {len(record) - SHOWN} more columns")
    guess = dict(session.guess(row))
    line = Text()
    for key, label in class_keys(session.classes).items():
        line.append(f" {key} ", style="reverse")
        line.append(f" {label}")
        line.append(f" {100 * guess[label]:.0f} %   " if label in guess else "   ", style="dim")
    body = Group(values, Text(), line)
    console.print(Panel(body, title=f"row {row + 1}", title_align="left", subtitle=_progress(session)))
    if session.failure is not None:
        note = f"the model cannot learn ({session.failure}); rows come in the order of the table. {note}"
    console.print(Text(note or "u undo  s skip  n new label  q quit  ? keys", style="dim"))


def _short(value: Any) -> str:
    text = "" if value is None or value != value else str(value)
    return text if len(text) <= WIDE else f"{text[:WIDE]} ..."


def _progress(session: Session) -> str:
    now = session.progress()
    parts = [f"{now.labeled} of {now.rows} labeled"]
    if now.skipped:
        parts.append(f"{now.skipped} skipped")
    if now.accuracy is not None:
        parts.append(f"about {100 * now.accuracy:.0f} % right on labeled rows")
    return ", ".join(parts)
