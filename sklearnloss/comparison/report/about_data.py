"""What the data are like."""

from collections.abc import Callable
from typing import Any

from sklearnloss.comparison.findings import Findings
from sklearnloss.comparison.report.markup import Html, tag
from sklearnloss.comparison.report.plot import percent
from sklearnloss.comparison.report.scales import minus

__all__ = ["describe"]

FIRST = 12  # classes that are always shown
NAMES = 20  # constant columns that are named
KINDS = {"number": "numbers", "date": "dates", "category": "categories", "sparse": "sparse numbers"}
COLUMNS: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {  # of the table of classes, by the fact they show
    "count": ("rows", lambda row: f"{row['count']:,}"),
    "share": ("share", lambda row: _share(row["share"])),
    "low": ("share in a bag", lambda row: f"{_share(row['low'])} to {_share(row['high'])}"),
}


def describe(findings: Findings) -> Html:
    """Return the facts about the table, and its classes."""
    data = findings.data
    facts = [_fact(name, text) for name, text in _facts(data, findings.settings.task)]
    return tag("div", tag("div", tag("h3", "Table"), tag("dl", *facts, class_="facts")), _classes(data), class_="two")


def _fact(name: str, text: str) -> Html:
    return tag("div", tag("dt", name), tag("dd", text))


def _facts(data: dict[str, Any], task: str) -> list[tuple[str, str]]:
    """Return what there is to say, each with its name."""
    missing, twice, constant = data["missing"], data["duplicates"], data["constant_columns"]
    facts = [
        ("Task", task),
        ("Rows", f"{data['rows']:,}"),
        ("Columns", _kinds(data)),
        ("Size in memory", _size(data["memory_bytes"])),
        ("Missing values", _missing(missing) if missing["cells"] else "none"),
        ("Duplicate rows", _twice(twice, task) if twice["rows"] else "none"),
        ("Constant columns", _named(constant) if constant else "none"),
    ]
    if "imbalance" in data:
        facts.append(("Imbalance", f"{data['imbalance']:.1f} rows of the largest class for one of the smallest"))
    if bags := data.get("bags"):
        facts += _bags(bags)
    if labels := data.get("labels_per_row"):
        facts.append(("Labels of a row", f"{labels['mean']:.2f} on average, {labels['min']} to {labels['max']}"))
    if groups := data.get("groups"):
        facts.append(("Groups", f"{groups['count']:,}, of {groups['smallest']:,} to {groups['largest']:,} rows"))
    return facts


def _bags(bags: dict[str, Any]) -> list[tuple[str, str]]:
    sizes = f"{bags['smallest']:,} to {bags['largest']:,} rows, the median {bags['median']:,g}"
    if bags["smallest"] == bags["largest"]:
        sizes = f"{bags['smallest']:,} rows each"
    mean = minus(f"{bags['mean_kl']:.4f}")
    return [
        ("Bags", f"{bags['count']:,}"),
        ("Size of bags", sizes),
        ("To beat", f"negative bag KL {mean}: the mean proportions of all bags as the prediction for each"),
    ]


def _kinds(data: dict[str, Any]) -> str:
    kinds = data["column_kinds"]
    if len(kinds) == 1:
        return f"{data['columns']:,}, all {KINDS[next(iter(kinds))]}"
    return f"{data['columns']:,}: {', '.join(f'{count:,} {KINDS[kind]}' for kind, count in kinds.items())}"


def _missing(missing: dict[str, Any]) -> str:
    where = f"in {missing['columns']:,} columns and {missing['rows']:,} rows"
    return f"{missing['cells']:,} ({_share(missing['share'])}), {where}"


def _twice(twice: dict[str, int], task: str) -> str:
    rows, conflicting, outvoted = (f"{twice.get(name, 0):,}" for name in ("rows", "conflicting", "outvoted"))
    if "conflicting" not in twice:
        return rows
    if not twice["conflicting"]:
        return f"{rows}; equal rows have the same target"
    if task == "embedding":
        return f"{rows}; {conflicting} have equals of another class, which no embedding tells apart"
    return f"{rows}; {conflicting} have equals with another target, so at least {outvoted} must be predicted wrong"


def _named(names: list[str]) -> str:
    more = f" and {len(names) - NAMES:,} more" if len(names) > NAMES else ""
    return f"{len(names):,}: {', '.join(names[:NAMES])}{more}"


def _size(n_bytes: int) -> str:
    size = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.3g} {unit}"
        size /= 1000
    raise AssertionError("the last unit takes whatever is left")


def _share(share: float) -> str:
    return "<0.1 %" if 0 < share < 0.001 else f"{100 * share:.1f} %"


def _classes(data: dict[str, Any]) -> Html:
    classes = data["classes"]
    most = max(row["share"] for row in classes) or 1.0
    what = "labels" if data["task"] == "multilabel" else "classes"
    first, rest = classes[:FIRST], classes[FIRST:]
    more = None
    if rest:
        more = tag("details", tag("summary", f"{len(rest):,} more {what}"), _table(rest, most, f"The other {what}"))
    return tag("div", tag("h3", f"{len(classes):,} {what}"), _table(first, most, f"The most frequent {what}"), more)


def _table(classes: list[dict[str, Any]], most: float, caption: str) -> Html:
    shown = [column for fact, column in COLUMNS.items() if fact in classes[0]]
    head = tag(
        "tr",
        tag("th", "name", scope="col"),
        *(tag("th", name, scope="col", class_="num") for name, _ in shown),
        tag("td"),
    )
    body = [
        tag(
            "tr",
            tag("th", row["name"], scope="row"),
            *(tag("td", text(row), class_="num") for _, text in shown),
            tag("td", _bar(row["share"] / most), class_="wide-bar"),
        )
        for row in classes
    ]
    table = tag(
        "table",
        tag("caption", caption, class_="hidden"),
        tag("thead", head),
        tag("tbody", *body),
        class_="plain classes",
    )
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=caption)


def _bar(share: float) -> Html:
    rect = tag("rect", x=0, y=0, width=percent(round(100 * share, 2)), height="100%")
    return tag("svg", rect, width="100%", height=8, class_="bar plainbar", aria_hidden="true")
