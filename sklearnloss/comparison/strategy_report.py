"""The report of a comparison of query strategies: one HTML file that needs nothing else."""

import math
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from sklearnloss.comparison.budget import duration
from sklearnloss.comparison.report import Section, page
from sklearnloss.comparison.report.cost import HEIGHT as DOTS
from sklearnloss.comparison.report.cost import dot_of, place_labels
from sklearnloss.comparison.report.files import fill
from sklearnloss.comparison.report.finding import number
from sklearnloss.comparison.report.markup import Html, join, rich, tag
from sklearnloss.comparison.report.plot import band, chart, curve, figure, percent, stretched
from sklearnloss.comparison.report.scales import Scale, linear, minus, seconds_axis, typical
from sklearnloss.comparison.report.series import SHOWN, legend, look_of
from sklearnloss.comparison.strategy_findings import LEVEL, StrategyFindings, StrategyRow
from sklearnloss.comparison.strategy_text import WORDS, StrategyColumn, budget, columns, verdict

__all__ = ["finding", "render"]

HEIGHT = 420
LESS = frozenset({"strategy", "p (Holm)", "labels", "query"})  # the smallest is the best, and comes first
LEVELS = 9  # of a cell's shade
MANY = 20  # strategies from which the matrix is written small
WHAT = "strategies"


@dataclass(frozen=True)
class Line:
    """A strategy in the charts.

    Attributes
    ----------
    row : StrategyRow
        Its row of the table.
    place : int
        Its place there, from 0.
    baseline, on : bool
        Whether it is the baseline, and whether it is lifted out before the reader chooses.
    """

    row: StrategyRow
    place: int
    baseline: bool
    on: bool

    @property
    def name(self) -> str:
        """Name of the strategy."""
        return self.row.strategy

    @property
    def look(self) -> str:
        """Classes that give it its color and dashes."""
        return look_of(self.place, baseline=self.baseline, on=self.on)


def render(findings: StrategyFindings, *, created: datetime | None = None) -> str:
    """Return the report of a comparison of strategies as one HTML page that loads nothing.

    Parameters
    ----------
    findings : StrategyFindings
        What was found.
    created : datetime, default=None
        When; None is now.

    Returns
    -------
    str
        Of letters that UTF-8 can write. It is readable without JavaScript, which sorts, and lifts curves out.
    """
    base = findings.settings.baseline
    lines = [
        Line(row, place, baseline=row.strategy == base, on=place < SHOWN or row.strategy == base)
        for place, row in enumerate(findings.ranked)
    ]
    sections: list[Section] = []
    if lines:
        sections.append(("curves", "Learning curves", tag("div", _curves(findings, lines), class_="figures")))
    sections.append((WHAT, "Strategies", join([_results(findings), _failures(findings), _warned(findings)])))
    if len(lines) > 1:
        sections.append(("rounds", "Round by round", tag("div", *_rounds(findings, lines), class_="figures")))
    if lines:
        sections.append(("cost", "Cost", tag("div", _cost(findings, lines), class_="figures")))
    sections.append(("method", "Method", _method(findings)))
    header = _header(findings, created or datetime.now().astimezone())
    return page(f"{findings.name}: comparison of query strategies", header, sections)


# -- header -----------------------------------------------------------------------------------------------------------


def _header(findings: StrategyFindings, created: datetime) -> Html:
    settings = findings.settings
    date = tag("time", f"{created:%Y-%m-%d %H:%M}", datetime=created.isoformat(timespec="seconds"))
    facts = [
        f"{settings.n_pool:,} rows to ask",
        f"{settings.n_test:,} to judge by",
        f"{settings.columns:,} columns",
        *([f"{settings.classes:,} classes"] if settings.classes else []),
        f"{len(findings.names):,} {'strategy' if len(findings.names) == 1 else WHAT}",
        f"{settings.n_seeds:,} {'seed' if settings.n_seeds == 1 else 'seeds'}",
        f"{settings.n_initial} labels, and {settings.batch_size} more each round",
    ]
    more = tally(findings)
    return tag(
        "header",
        tag("p", "Comparison of query strategies · ", date, class_="eyebrow"),
        tag("h1", findings.name),
        tag("p", finding(findings), class_="finding"),
        tag("p", more, class_="more") if more else None,
        _unfinished(findings),
        _careful(findings),
        tag("ul", *(tag("li", fact) for fact in facts), class_="glance"),
    )


def _unfinished(findings: StrategyFindings) -> Html | None:
    if findings.finished:
        return None
    done = sum(len(kept) for kept in findings.records.values())
    seeds = findings.ranked[0].seeds if findings.ranked else 0
    said = f"{done:,} runs were done before it ended. The table is over {seeds} of {findings.settings.n_seeds} seeds."
    return tag("p", tag("b", "Not finished. "), said, class_="alert", role="note")


def _careful(findings: StrategyFindings) -> Html | None:
    if not findings.warning:
        return None
    said = findings.warning[:1].upper() + findings.warning[1:]
    return tag("p", tag("b", "Few labels. "), f"{said}.", class_="alert", role="note")


def finding(findings: StrategyFindings) -> Html:
    """Return the outcome in a sentence or two."""
    rows, settings = findings.ranked, findings.settings
    if not rows:
        return join(["No strategy has a learning curve: those that ran failed."])
    best = rows[0]
    base = next((row for row in rows if row.strategy == settings.baseline), None)
    area = f"mean {settings.metric} {_number(best.area)} from {budget(findings)}"
    parts = {"best": _name(best), "area": area}
    if len(rows) == 1:
        return rich("{best} is the only strategy with a learning curve: {area}.", **parts)
    if base is None:
        return rich(
            "{best} learns fastest, {area}. Nothing is tested: the baseline {base} has no learning curve.",
            **parts, base=tag("code", settings.baseline),
        )  # fmt: skip
    if best.seeds == 1:
        return rich("{best} learns fastest, {area}, with a single seed. One seed cannot tell skill from luck.", **parts)
    ahead = [row for row in rows if verdict(row, baseline=settings.baseline) == "better"]
    if ahead and ahead[0] is best:
        return rich(
            "{best} learns fastest, {area}. It is ahead of {base} by {gain}{p}.{reached}",
            **parts, base=_name(base), gain=_number(best.difference), p=_p(findings, best),
            reached=_reached(findings, best, base),
        )  # fmt: skip
    if ahead:
        return rich(
            "{best} learns fastest, {area}, but is not clearly ahead of {base}. {other} is, by {gain}{p}.",
            **parts, base=_name(base), other=_name(ahead[0]), gain=_number(ahead[0].difference),
            p=_p(findings, ahead[0]),
        )  # fmt: skip
    if best is base:
        return rich("{best}, the baseline, learns fastest, {area}: no other strategy is clearly ahead.", **parts)
    return rich(
        "No strategy is clearly ahead of {base}, mean {metric} {of}. {best} is highest, {area}, which may be chance.",
        **parts, base=_name(base), metric=settings.metric, of=_number(base.area),
    )  # fmt: skip


def tally(findings: StrategyFindings) -> str:
    """Return how the other strategies stand to the baseline, in a sentence; nothing if none was tested."""
    base = findings.settings.baseline
    said = Counter(verdict(row, baseline=base) for row in findings.ranked if not math.isnan(row.p_holm))
    tests = sum(said.values())
    if tests < 2:
        return ""
    words = {"better": "ahead", "worse": "behind", "unclear": "undecided"}
    parts = [
        f"{number(said[word])} {'is' if said[word] == 1 else 'are'} {text}"
        for word, text in words.items()
        if said[word]
    ]
    listed = " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
    return f"Of the {number(tests)} strategies tested against {base}, {listed}."


def _p(findings: StrategyFindings, row: StrategyRow) -> str:
    tests = sum(not math.isnan(r.p) for r in findings.ranked)
    value = "< 0.001" if row.p_holm < 0.001 else f"= {row.p_holm:.3f}"
    return f" (p {value}{f' adjusted for {number(tests)} strategies' if tests > 1 else ''})"


def _reached(findings: StrategyFindings, row: StrategyRow, base: StrategyRow) -> str:
    last = findings.n_labels[-1]
    if not row.labels < last:
        return ""
    return f" With {row.labels:.0f} labels it reaches the {_number(base.final)} that {base.strategy} has with {last}."


# -- curves -----------------------------------------------------------------------------------------------------------


def _curves(findings: StrategyFindings, lines: list[Line]) -> Html:
    """Return the learning curves, with bands about those that are lifted out."""
    n, metric = findings.n_labels, findings.settings.metric
    means = {one.place: findings.curves[one.name].mean(axis=0) for one in lines}
    ends = {one.place: findings.interval(one.name) for one in lines}
    inside = [v for one in lines if one.on for end in ends[one.place] for v in end]
    values = [float(v) for v in (*inside, *(v for mean in means.values() for v in mean)) if math.isfinite(v)]
    full = findings.full_score
    on_axis = not math.isnan(full) and full - max(values) <= max(values) - min(values)
    x = linear(n.tolist(), least=1.0, pad=0.02, whole=True)
    y = linear([*values, *([full] if on_axis else [])], least=1e-3, pad=0.03)
    marks = [
        *([_level(y, full)] if on_axis else []),
        *([_upright(x, findings.settings.columns)] if n[0] <= findings.settings.columns <= n[-1] else []),
        stretched(_curve(one, n, means[one.place], ends[one.place], x, y) for one in sorted(lines, key=lambda s: s.on)),
    ]
    about = "Line: mean over the seeds"
    about += "; band: 95 % interval of a level. " if lines[0].row.seeds > 1 else ". "
    about += (
        "Differences between strategies are much surer than the bands, as all begin with the same rows: "
        "see the tests below. " if lines[0].row.seeds > 1 else ""
    )  # fmt: skip
    if not math.isnan(full):
        about += f"Models that know all {findings.settings.n_pool:,} labels reach {_number(full)}"
        about += ", the dashed line. " if on_axis else ". "
    if n[0] <= findings.settings.columns <= n[-1]:
        about += "Dotted upright line: as many labels as columns."
    drawn = chart(
        "curves-chart", x, y, marks,
        labels=("labels", f"{metric} on rows held out"),
        title=f"{metric} on rows held out, by the number of labels",
        about="; ".join(f"{one.name}: {means[one.place][0]:.3f} to {means[one.place][-1]:.3f}" for one in lines),
        height=HEIGHT,
    )  # fmt: skip
    says = {one.name: _number(one.row.area) for one in lines}
    heading = f"{metric[:1].upper()}{metric[1:]} by labels"
    return figure("curve", heading, drawn, legend("curve", lines, says=says, what=WHAT), about=about, wide=True)


def _curve(one: Line, n: np.ndarray, mean: np.ndarray, ends: tuple[np.ndarray, np.ndarray], x: Scale, y: Scale) -> Html:
    across = [x.at(v) for v in n.tolist()]
    low, high = ([(a, y.at(v)) for a, v in zip(across, end.tolist(), strict=True)] for end in ends)
    area = band(low, high) if np.isfinite(ends[0]).all() else None
    line = curve([(a, y.at(v)) for a, v in zip(across, mean.tolist(), strict=True)])
    return tag("g", tag("title", one.name), area, line, class_=one.look, data_series=one.place)


def _level(y: Scale, value: float) -> Html:
    at = percent(round(100 - y.at(value), 2))
    return tag("line", x1=0, x2="100%", y1=at, y2=at, class_="full")


def _upright(x: Scale, value: float) -> Html:
    at = percent(x.at(value))
    return tag("line", x1=at, x2=at, y1=0, y2="100%", class_="base")


# -- tables -----------------------------------------------------------------------------------------------------------


def _results(findings: StrategyFindings) -> Html | None:
    if not findings.ranked:
        return None
    shown = [c for c in columns(findings) if c.key == "strategy" or any(c.text(row) for row in findings.ranked)]
    body = [tag("tr", *(_cell(findings, column, row) for column in shown)) for row in findings.ranked]
    caption = tag("caption", "Strategies by the area under their learning curves, best first", class_="hidden")
    head = tag("thead", tag("tr", *(_head(column) for column in shown)))
    table = tag("table", caption, head, tag("tbody", *body), class_="sortable results")
    box = tag("div", table, class_="scroll", tabindex=0, role="region", aria_label="Table of all strategies")
    return join([box, tag("p", tag("a", "How to read the numbers", href="#reading"), class_="foot")])


def _head(column: StrategyColumn) -> Html:
    return tag(
        "th",
        column.head,
        scope="col",
        class_=None if column.key in WORDS else "num",
        data_kind="text" if column.key == "strategy" else "number",
        data_first="ascending" if column.key in LESS else "descending",
        aria_sort="descending" if column.key == "area" else None,
    )


def _cell(findings: StrategyFindings, column: StrategyColumn, row: StrategyRow) -> Html:
    value, text = column.value(row), column.text(row)
    if isinstance(value, float):
        value = 1e9 if math.isinf(value) else value  # what is not reached comes after all that is
    key = None if isinstance(value, float) and math.isnan(value) else value
    if column.key == "strategy":
        return tag("th", text, scope="row", data_value=key)
    if column.key == "verdict":
        return tag("td", tag("span", text, class_=f"badge {text}") if text else None, data_value=key)
    return tag("td", minus(text), class_="num", data_value=key)


def _failures(findings: StrategyFindings) -> Html | None:
    rows = [row for row in findings.rows if row.status != "ok"]
    if not rows:
        return None
    cells = [(row.strategy, row.status, row.reason) for row in rows]
    body = [tag("tr", tag("th", name, scope="row"), *(tag("td", text) for text in said)) for name, *said in cells]
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in ("strategy", "status", "reason"))))
    caption = tag("caption", "Strategies without a learning curve", class_="hidden")
    table = tag("table", caption, head, tag("tbody", *body), class_="plain failed")
    label = "Strategies without a learning curve"
    box = tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=label)
    return tag("section", tag("h3", "Without a learning curve"), box)


def _warned(findings: StrategyFindings) -> Html | None:
    rows = [row for row in findings.rows if row.warnings]
    if not rows:
        return None
    said = [join([tag("dt", row.strategy), *(tag("dd", text) for text in row.warnings)]) for row in rows]
    count = f"Warnings of runs, {len(rows)} {'strategy' if len(rows) == 1 else WHAT}"
    return tag("details", tag("summary", count), tag("dl", *said, class_="warnings"))


# -- rounds -----------------------------------------------------------------------------------------------------------


def _rounds(findings: StrategyFindings, lines: list[Line]) -> list[Html]:
    """Return wins, ties and losses against the baseline, and how often each strategy is beaten by each other."""
    base = findings.settings.baseline
    found = []
    tested = [one.row for one in lines if not math.isnan(one.row.p)]
    if tested:
        about = (
            f"Rounds of {len(findings.n_labels) - 1}, with the first labels left out: ahead of {base} and behind by "
        )
        about += (
            f"a paired t-test over the seeds at {100 * LEVEL:.0f} %, else tied. By chance alone a strategy wins or "
        )
        about += "loses one round in twenty."
        heading = f"Rounds against {base}"
        found.append(figure("won", heading, tag("div", _won(tested), class_="scroll"), about=about, wide=True))
    if lines[0].row.seeds > 1:
        about = "Share of the rounds in which the strategy of the row is significantly behind that of the column, and "
        about += "the mean of the row: less is better."
        box = tag(
            "div", _matrix(findings, lines), class_="scroll", tabindex=0, role="region",
            aria_labelledby="penalty-title",
        )  # fmt: skip
        found.append(figure("penalty", "Who is beaten by whom", box, about=about, wide=True))
    return found


def _won(rows: list[StrategyRow]) -> Html:
    order = sorted(rows, key=lambda row: row.losses - row.wins)
    heads = ("strategy", "lost", "tied", "won", "lost · tied · won")
    head = tag("tr", *(tag("th", h, scope="col", class_="num" if h in heads[1:4] else None) for h in heads))
    body = [
        tag(
            "tr",
            tag("th", row.strategy, scope="row"),
            *(tag("td", str(count), class_="num") for count in (row.losses, row.ties, row.wins)),
            tag("td", _bar(row), class_="shares"),
        )
        for row in order
    ]
    caption = tag("caption", "Rounds lost, tied and won against the baseline", class_="hidden")
    return tag("table", caption, tag("thead", head), tag("tbody", *body), class_="plain won")


def _bar(row: StrategyRow) -> Html:
    counts = {"worse": row.losses, "equivalent": row.ties, "better": row.wins}
    rounds, parts, at = sum(counts.values()), [], 0.0
    for word, count in counts.items():
        x, width = percent(round(100 * at, 2)), percent(round(100 * count / rounds, 2))
        parts.append(tag("rect", x=x, width=width, y=0, height="100%", class_=word))
        at += count / rounds
    said = f"{row.losses} lost, {row.ties} tied, {row.wins} won"
    return tag("svg", tag("title", said), *parts, width="100%", height=8, role="img", class_="bar")


def _matrix(findings: StrategyFindings, lines: list[Line]) -> Html:
    shares = findings.penalty
    means = shares.sum(axis=1) / (len(lines) - 1)
    worst = max(float(shares.max()), 1e-9)
    names = [one.name for one in lines]
    corner = tag("th", "behind ↓ of →", scope="col")
    head = tag("tr", corner, *(tag("th", tag("span", name), scope="col") for name in [*names, "mean"]))
    body = [
        tag(
            "tr",
            tag("th", name, scope="row"),
            *(_shaded(i, j, shares[i, j], worst) for j in range(len(names))),
            tag("td", _share(means[i])),
        )
        for i, name in enumerate(names)
    ]
    caption = tag("caption", "Share of rounds in which the row is behind the column", class_="hidden")
    look = f"matrix tall{' many' if len(names) > MANY else ''}"
    return tag("table", caption, tag("thead", head), tag("tbody", *body), class_=look)


def _shaded(i: int, j: int, share: float, worst: float) -> Html:
    if i == j:
        return tag("td")
    shade = f"wrong{max(1, round(LEVELS * share / worst))}" if share else None
    return tag("td", _share(share), class_=shade)


def _share(value: float) -> str:
    return "0" if value == 0 else f"{value:.2f}".removeprefix("0") if value < 0.995 else "1"


# -- cost -------------------------------------------------------------------------------------------------------------


def _cost(findings: StrategyFindings, lines: list[Line]) -> Html:
    """Return a dot per strategy, seconds of a query across and area up."""
    metric = findings.settings.metric
    areas = [one.row.area for one in lines]
    floor = min(typical(areas), *(one.row.area for one in lines if one.baseline), math.inf)
    near = [one for one in lines if one.row.area >= floor]
    x = seconds_axis([one.row.query_seconds for one in near])
    y = linear([one.row.area for one in near], least=1e-3, pad=0.12)
    places = [(one, x.at(max(one.row.query_seconds, x.low)), y.at(one.row.area)) for one in near]
    labels = place_labels(places)
    marks = [
        dot_of(one, across, up, tag("title", _costs(one)), labels.get(one.place))
        for one, across, up in sorted(places, key=lambda p: p[0].on)
    ]
    about = "Up and to the left is better. Time is the median query, without the fits, on a logarithmic axis. The "
    about += "legend is that of the learning curves."
    far = [f"{one.name} ({_number(one.row.area)})" for one in lines if one not in near]
    about += f" Far below, and left out: {', '.join(far)}." if far else ""
    drawn = chart(
        "cost-chart", x, y, marks,
        labels=("time of a query", f"mean {metric}"),
        title=f"Mean {metric} against the time of a query",
        about="; ".join(_costs(one) for one in lines),
        height=DOTS,
    )  # fmt: skip
    return figure("query", "Time of a query", drawn, about=about, wide=True)


def _costs(one: Line) -> str:
    return f"{one.name}: {_number(one.row.area)}, {duration(one.row.query_seconds)} a query"


# -- method -----------------------------------------------------------------------------------------------------------


def _method(findings: StrategyFindings) -> Html:
    settings = findings.settings
    given = f"random_state={settings.random_state}, test_size={settings.test_share:.2g}"
    facts: list[tuple[str, str]] = [
        (
            "Replays",
            f"{settings.n_initial} labels, then {settings.batch_size} in each of {max(len(findings.n_labels) - 1, 0)} "
            "rounds; the model is fitted anew to all labels after each",
        ),
        (
            "Seeds",
            f"{settings.n_seeds}, each a split into {settings.n_pool:,} rows to ask and {settings.n_test:,} to judge "
            f"by with first rows of its own, the same for all strategies; {given}",
        ),
        ("Score", settings.metric),
        ("Baseline", tag("code", settings.baseline)),
        ("Model", tag("code", settings.estimator)),
    ]
    if settings.params:
        facts.append(("Learner", ", ".join(f"{name}={value!r}" for name, value in settings.params.items())))
    if settings.versions:
        facts.append(("Versions", ", ".join(f"{name} {version}" for name, version in settings.versions.items())))
    pairs = (join([tag("dt", name), tag("dd", text)]) for name, text in facts)
    text = fill(
        "reading_strategies.html",
        labels=join([budget(findings)]), metric=join([settings.metric]), base=join([settings.baseline]),
        held=f"{100 * settings.test_share:.0f} %", level=f"{100 * LEVEL:.0f} %",
    )  # fmt: skip
    return join([tag("dl", *pairs, class_="method"), text])


def _name(row: StrategyRow) -> Html:
    return tag("code", row.strategy)


def _number(value: float) -> str:
    return minus(f"{value:.4f}")
