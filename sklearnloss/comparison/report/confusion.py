"""What the best loss confuses with what."""

from typing import Any

import numpy as np

from sklearnloss.comparison.findings import Findings
from sklearnloss.comparison.fits import CONFUSED
from sklearnloss.comparison.protocols import PROTOCOLS
from sklearnloss.comparison.report.markup import Html, rich, tag
from sklearnloss.comparison.report.plot import figure
from sklearnloss.comparison.report.series import ranked

__all__ = ["confusion"]

LEVELS = 9  # of a cell's shade
SMALL = 10  # classes that fit in half the page
SHORT = 3  # letters up to which names stand upright over columns
NAMED = 5  # confusions said in words


def confusion(findings: Findings) -> Html | None:
    """Return the confusion matrix of the best loss, or why there is none; None where rows are not judged by labels."""
    if PROTOCOLS[findings.settings.task].judged != "predictions":
        return None
    best = ranked(findings)[0].loss
    classes = findings.data["class_names"]
    matrices = [r["confusion"] for r in findings.used[best] if r["confusion"] is not None]
    if not matrices:
        return figure("confusion", "Confusions", tag("p", _why_not(findings, len(classes)), class_="muted"))
    counts = np.array(matrices).sum(axis=0)  # (true, predicted)
    about = "Percent of each true class, on the rows held out, all splits together. "
    about += "Wrong cells have a scale of their own, darkest for the most frequent confusion."
    table = tag(
        "div",
        _matrix(counts, classes, best),
        class_="scroll",
        tabindex=0,
        role="region",
        aria_labelledby="confusion-title",
    )
    return figure(
        "confusion", f"What {best} confuses", _said(counts, classes), table, about=about, wide=len(classes) > SMALL
    )


def _why_not(findings: Findings, classes: int) -> str:
    if findings.settings.task == "multilabel":
        return "There is no confusion matrix of several labels: each row may have any number of them."
    return f"There is no confusion matrix of {classes} classes: it is kept for up to {CONFUSED}."


def _shares(counts: np.ndarray) -> np.ndarray:
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)  # (true, predicted)


def _said(counts: np.ndarray, classes: list[str]) -> Html:
    shares = np.where(np.eye(len(counts), dtype=bool), 0.0, _shares(counts))
    places = [np.unravel_index(p, shares.shape) for p in np.argsort(-shares, axis=None, kind="stable")[:NAMED]]
    said = [
        rich(
            "{true} taken for {wrong}: {share} of its rows ({n} of {of})",
            true=tag("b", classes[i]), wrong=tag("b", classes[j]),
            share=_percent(shares[i, j]), n=f"{counts[i, j]:,}", of=f"{counts[i].sum():,}",
        )
        for i, j in places if shares[i, j] > 0
    ]  # fmt: skip
    if not said:
        return tag("p", "No row held out was taken for another class.")
    return tag("ol", *(tag("li", line) for line in said), class_="said-list")


def _matrix(counts: np.ndarray, classes: list[str], best: str) -> Html:
    shares = _shares(counts)
    worst = max(float(np.where(np.eye(len(counts), dtype=bool), 0.0, shares).max()), 1e-9)
    head = tag(
        "tr",
        tag("th", "true ↓ predicted →", scope="col"),
        *(tag("th", tag("span", name), scope="col") for name in classes),
    )
    body = [
        tag(
            "tr",
            tag("th", name, scope="row"),
            *(
                _cell(shares[i, j], worst, right=i == j, counts=(counts[i, j], counts[i].sum()))
                for j in range(len(classes))
            ),
        )
        for i, name in enumerate(classes)
    ]
    caption = tag("caption", f"Predictions of {best} by true class, in percent", class_="hidden")
    tall = max(map(len, classes)) > SHORT
    look = f"matrix{' many' if len(classes) > 2 * SMALL else ''}{' tall' if tall else ''}"
    return tag("table", caption, tag("thead", head), tag("tbody", *body), class_=look)


def _cell(share: float, worst: float, *, right: bool, counts: tuple[int, int]) -> Html:
    if not counts[0]:
        return tag("td")
    level = share if right else (share / worst) ** 0.5  # rare confusions still show
    shade = f"{'right' if right else 'wrong'}{max(1, round(LEVELS * level))}"
    return tag("td", _bare(share), class_=shade, title=f"{counts[0]:,} of {counts[1]:,} rows")


def _bare(share: float) -> str:
    return "<1" if share < 0.01 else ">99" if 0.995 <= share < 1 else f"{100 * share:.0f}"


def _percent(share: Any) -> str:
    return f"{100 * share:.1f} %"
