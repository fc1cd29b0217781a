"""The report of a comparison: one HTML file that needs nothing else."""

import base64
import hashlib
from datetime import datetime

from sklearnloss.comparison.findings import Findings
from sklearnloss.comparison.report.about_data import describe
from sklearnloss.comparison.report.calibration import calibration
from sklearnloss.comparison.report.confusion import confusion
from sklearnloss.comparison.report.cost import cost
from sklearnloss.comparison.report.files import fill, read
from sklearnloss.comparison.report.finding import caveat, finding, tally
from sklearnloss.comparison.report.intervals import intervals
from sklearnloss.comparison.report.learning import learning
from sklearnloss.comparison.report.markup import Html, join, tag
from sklearnloss.comparison.report.method import code, method, over
from sklearnloss.comparison.report.series import legend, ranked, series_of
from sklearnloss.comparison.report.table import failures, results, warned

__all__ = ["Section", "page", "render"]

Section = tuple[str, str, Html]  # key, title and content
WITHOUT_SCRIPT = ".js-only{display:none!important}.legend li:not(.on,.rest){display:none}"


def render(findings: Findings, *, created: datetime | None = None) -> str:
    """Return the report of a comparison as one HTML page that loads nothing.

    Parameters
    ----------
    findings : Findings
        What was found.
    created : datetime, default=None
        When; None is now.

    Returns
    -------
    str
        Of letters that UTF-8 can write. It is readable without JavaScript, which sorts, and lifts losses out of charts.
    """
    header = _header(findings, created or datetime.now().astimezone())
    return page(f"{findings.name}: comparison of losses", header, _sections(findings))


def page(title: str, header: Html, sections: list[Section]) -> str:
    """Return an HTML page that loads nothing.

    Parameters
    ----------
    title : str
        Of the window.
    header : Html
        What stands above the sections.
    sections : list of (str, str, Html)
        Key, title and content of each.
    """
    css, js = read("page.css"), read("page.js")
    return fill(
        "page.html",
        title=join([title]),
        policy=_policy([css, WITHOUT_SCRIPT], [js]),
        css=css,
        without_script=WITHOUT_SCRIPT,
        js=js,
        links=join(tag("a", name, href=f"#{key}") for key, name, _ in sections),
        header=header,
        sections=join(_section(*section) for section in sections),
    )


def _policy(styles: list[str], scripts: list[str]) -> str:
    """Return a policy under which the page loads nothing, and runs nothing but its own script."""
    allowed = {"style-src": styles, "script-src": scripts}
    rules = [f"{kind} {' '.join(_digest(text) for text in texts)}" for kind, texts in allowed.items()]
    return "; ".join(["default-src 'none'", *rules, "img-src data:", "base-uri 'none'", "form-action 'none'"])


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _header(findings: Findings, created: datetime) -> Html:
    data, settings = findings.data, findings.settings
    said = join([finding(findings)])
    more = " ".join(text for text in (tally(findings), caveat(findings)) if text)
    facts = [
        f"{data['rows']:,} rows",
        f"{data['columns']:,} columns",
        f"{len(data['classes']):,} {'labels' if settings.task == 'multilabel' else 'classes'}",
        *([f"{data['bags']['count']:,} bags"] if "bags" in data else []),
        f"{len(findings.candidates):,} {'loss' if len(findings.candidates) == 1 else 'losses'}",
        settings.plan,
    ]
    date = tag("time", f"{created:%Y-%m-%d %H:%M}", datetime=created.isoformat(timespec="seconds"))
    notes = [tag("li", note) for note in settings.notes]
    return tag(
        "header",
        tag("p", "Comparison of losses · ", date, class_="eyebrow"),
        tag("h1", findings.name),
        tag("p", said, class_="finding"),
        tag("p", more, class_="more") if more else None,
        _unfinished(findings),
        tag("ul", *(tag("li", fact) for fact in facts), class_="glance"),
        tag("ul", *notes, class_="notes") if notes else None,
    )


def _unfinished(findings: Findings) -> Html | None:
    if findings.finished:
        return None
    done = sum(len(kept) for kept in findings.records.values())
    if not ranked(findings):
        return tag(
            "p", tag("b", "Not finished. "), f"{done:,} fits were done before it ended.", class_="alert", role="note"
        )
    same = len({row.fits for row in ranked(findings)}) < 2
    hedge = "those that every loss was fitted on" if same else "not the same for all losses: compare them with care"
    said = f"{done:,} fits were done before it ended. The table is over {over(findings)}, {hedge}."
    return tag("p", tag("b", "Not finished. "), said, class_="alert", role="note")


def _sections(findings: Findings) -> list[Section]:
    """Return key, title and content of each section that there is something to say in."""
    shown = series_of(findings)
    found = [("losses", "Losses", join([results(findings), failures(findings), warned(findings)]))]
    if shown:
        curves = learning(findings, shown)
        figures = [
            intervals(findings, shown),
            cost(findings, shown, key=None if curves else legend("cost", shown)),
            curves,
            calibration(findings, shown),
            confusion(findings),
        ]
        found.append(("charts", "Charts", tag("div", *figures, class_="figures")))
    found += [("data", "Data", describe(findings)), ("method", "Method", method(findings))]
    if shown:
        found.append(("code", "Code", code(findings)))
    return found


def _section(key: str, title: str, content: Html) -> Html:
    return tag("section", tag("h2", title, id=f"{key}-heading"), content, id=key, aria_labelledby=f"{key}-heading")
