"""The table of all losses, of those without a score, and of what fits warned of."""

import math

from sklearnloss.comparison.findings import Findings, Row
from sklearnloss.comparison.report.markup import Html, join, rich, tag
from sklearnloss.comparison.report.plot import percent
from sklearnloss.comparison.report.scales import minus
from sklearnloss.comparison.report.series import ranked
from sklearnloss.comparison.scoring import title
from sklearnloss.comparison.text import Column, columns

__all__ = ["failures", "results", "warned"]

WORDS = frozenset({"loss", "verdict"})  # columns of words; the others hold numbers
LESS = frozenset({"p (Holm)", "ECE", "NLL", "fit", "predict", "transform"})  # the smallest is the best, and comes first
SHARES = "worse · equivalent · better"


def results(findings: Findings) -> Html | None:
    """Return the table of the losses that have a score; None if there are none."""
    rows = ranked(findings)
    if not rows:
        return None
    shown = [column for column in columns(findings) if any(column.text(row) for row in rows)]
    tested = any(not math.isnan(row.better) for row in rows)
    head = tag(
        "tr", *(_head(column, place == 1) for place, column in enumerate(shown)), _shares_head() if tested else None
    )
    body = [_row(findings, row, shown, tested) for row in rows]
    caption = tag("caption", f"Losses by {title(findings.metric)}, best first", class_="hidden")
    table = tag("table", caption, tag("thead", head), tag("tbody", *body), class_="sortable results")
    box = tag("div", table, class_="scroll", tabindex=0, role="region", aria_label="Table of all losses")
    return join([box, tag("p", tag("a", "How to read the numbers", href="#reading"), class_="foot")])


def _head(column: Column, ranking: bool) -> Html:
    words = column.name in WORDS
    return tag(
        "th",
        column.name,
        scope="col",
        class_=None if words else "num",
        data_kind="text" if column.name == "loss" else "number",
        data_first="ascending" if column.name in LESS | {"loss"} else "descending",
        aria_sort="descending" if ranking else None,
    )


def _shares_head() -> Html:
    return tag("th", SHARES, scope="col", data_kind="number", data_first="descending", class_="shares")


def _row(findings: Findings, row: Row, shown: list[Column], tested: bool) -> Html:
    first, *rest = shown
    role = tag("span", "baseline", class_="badge") if row.loss == findings.settings.baseline else None
    cells = [
        tag("th", row.loss, scope="row", data_value=first.value(row)),
        *(_cell(column, row, role) for column in rest),
    ]
    return tag("tr", *cells, _shares(row) if tested else None)


def _cell(column: Column, row: Row, role: Html | None) -> Html:
    value = column.value(row)
    key = None if isinstance(value, float) and math.isnan(value) else value
    text = column.text(row)
    if column.name in WORDS:
        return tag(
            "td", role or tag("span", text, class_=f"badge {text.replace(' ', '-')}") if text else None, data_value=key
        )
    return tag("td", minus(text), class_="num", data_value=key)


def _shares(row: Row) -> Html:
    if math.isnan(row.better):
        return tag("td", class_="shares")
    spoken = f"worse {_whole(row.worse)} %, equivalent {_whole(row.equivalent)} %, better {_whole(row.better)} %"
    parts, at = [], 0.0
    for word, share in (("worse", row.worse), ("equivalent", row.equivalent), ("better", row.better)):
        parts.append(
            tag(
                "rect",
                x=percent(round(100 * at, 2)),
                width=percent(round(100 * share, 2)),
                y=0,
                height="100%",
                class_=word,
            )
        )
        at += share
    bar = tag("svg", tag("title", spoken), *parts, width="100%", height=8, role="img", class_="bar")
    digits = (tag("span", _whole(share)) for share in (row.worse, row.equivalent, row.better))
    return tag(
        "td",
        bar,
        tag("div", *digits, class_="num muted digits", aria_hidden="true"),
        class_="shares",
        data_value=row.better,
    )


def _whole(share: float) -> str:
    """Return a probability in percent that says 0 and 100 only where nothing else is true."""
    return "<1" if 0 < share < 0.005 else ">99" if 0.995 < share < 1 else f"{100 * share:.0f}"


def failures(findings: Findings) -> Html | None:
    """Return the losses without a score, and why they have none; None if there are none."""
    rows = [row for row in findings.rows if row.status != "ok"]
    if not rows:
        return None
    body = [tag("tr", tag("th", row.loss, scope="row"), tag("td", row.status), tag("td", row.reason)) for row in rows]
    head = tag("tr", *(tag("th", name, scope="col") for name in ("loss", "status", "reason")))
    table = tag(
        "table",
        tag("caption", "Losses without a score", class_="hidden"),
        tag("thead", head),
        tag("tbody", *body),
        class_="plain failed",
    )
    box = tag("div", table, class_="scroll", tabindex=0, role="region", aria_label="Losses without a score")
    return tag("section", tag("h3", "Without a score"), box)


def warned(findings: Findings) -> Html | None:
    """Return what fits warned of, folded; None if nothing."""
    rows = [row for row in findings.rows if row.warnings]
    if not rows:
        return None
    said = [
        join([tag("dt", row.loss), *(tag("dd", text) for text in row.warnings)])
        for row in rows
    ]  # fmt: skip
    title = rich("Warnings of fits, {n}", n=f"{len(rows)} {'loss' if len(rows) == 1 else 'losses'}")
    return tag("details", tag("summary", title), tag("dl", *said, class_="warnings"))
