"""HTML and SVG elements that escape whatever is not markup already."""

import html
import re
from collections.abc import Iterable

__all__ = ["Html", "join", "rich", "tag"]

EMPTY = frozenset({"circle", "input", "line", "path", "rect"})  # written as one tag
UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML has no place for

Child = str | None
Attribute = str | float | bool | None


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(name: str, *children: Child, **attributes: Attribute) -> Html:
    """Return an element; a child that is not `Html` is text, and is escaped, as are the values of attributes.

    Parameters
    ----------
    name : str
        Of the element.
    *children : str or None
        What it holds; None is nothing.
    **attributes : str, number, bool or None
        ``class_`` is ``class``, ``aria_label`` is ``aria-label``; None and False leave an attribute out.

    Examples
    --------
    >>> tag("td", "a < b", tag("b", "!"), class_="num", data_value=0.25)
    '<td class="num" data-value="0.25">a &lt; b<b>!</b></td>'
    """
    opened = f"<{name}{''.join(_attribute(key, value) for key, value in attributes.items())}"
    if name in EMPTY:
        return Html(f"{opened}/>")
    return Html(f"{opened}>{join(children)}</{name}>")


def join(children: Iterable[Child], between: str = "") -> Html:
    """Return children one after the other."""
    return Html(between.join(_markup(child) for child in children if child is not None))


def rich(text: str, **parts: str) -> Html:
    """Return a sentence with elements in it: ``rich("{best} wins", best=tag("code", name))``."""
    return Html(_markup(text).format(**{name: _markup(part) for name, part in parts.items()}))


def _markup(child: str) -> str:
    return str(child) if isinstance(child, Html) else html.escape(UNFIT.sub("\ufffd", child))


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f' {name}=""'
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return f' {name}="{_markup(text)}"'
