"""What was found, in words that claim no more than the statistics say."""

import math
from collections import Counter

from sklearnloss.comparison.findings import Findings, Row
from sklearnloss.comparison.report.markup import Html, join, rich, tag
from sklearnloss.comparison.report.scales import minus
from sklearnloss.comparison.report.series import ranked
from sklearnloss.comparison.scoring import title
from sklearnloss.comparison.text import SURE, verdict

__all__ = ["caveat", "finding", "tally"]

WORDS = "no one two three four five six seven eight nine ten eleven twelve".split()


def finding(findings: Findings) -> Html:
    """Return the outcome in a sentence or two."""
    rows, settings = ranked(findings), findings.settings
    if not rows:
        return _nothing(findings)
    best = rows[0]
    base = next((row for row in rows if row.loss == settings.baseline), None)
    scores = {"best": _name(best), "score": f"{title(findings.metric)} {minus(f'{best.score:.4f}')}"}
    if len(rows) == 1:
        return rich("{best} is the only loss with a score: {score}.", **scores)
    if base is None:
        return rich(
            "{best} scores best, {score}. Nothing is tested: the baseline {base} has no score.",
            **scores, base=tag("code", settings.baseline),
        )  # fmt: skip
    if all(math.isnan(row.better) for row in rows):
        return rich(
            "{best} scores best, {score}, on a single split. One split cannot tell a better loss from luck.", **scores
        )
    better = [row for row in rows if row.better >= SURE]
    if not better:
        return _none_better(findings, best, base, scores)
    if better[0] is best:
        return rich(
            "{best} scores best, {score}. It is better than {base} by {how}.",
            **scores,
            base=_name(base),
            how=_how(best, findings),
        )
    return rich(
        "{best} scores best, {score}, but is not clearly better than {base}. {other} is, by {how}.",
        **scores, base=_name(base), other=_name(better[0]), how=_how(better[0], findings),
    )  # fmt: skip


def tally(findings: Findings) -> str:
    """Return how the other losses stand to the baseline, in a sentence; nothing if none was tested."""
    settings = findings.settings
    tested = [row for row in ranked(findings) if not math.isnan(row.better)]
    if len(tested) < 2:
        return ""
    counts = Counter(verdict(row, baseline=settings.baseline) for row in tested)
    words = {"better": "better", "worse": "worse", "equivalent": f"equivalent in practice (within {settings.rope:g})"}
    counts["undecided"] = len(tested) - sum(counts[word] for word in words)
    parts = [
        f"{number(counts[word])} {'is' if counts[word] == 1 else 'are'} {text}"
        for word, text in {**words, "undecided": "undecided"}.items()
        if counts[word]
    ]
    said = " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
    return f"Of the {number(len(tested))} losses tested against {settings.baseline}, {said}."


def caveat(findings: Findings) -> str:
    """Return what must be kept in mind when the best of several is chosen; nothing for one."""
    if len(ranked(findings)) < 2:
        return ""
    return "The best of several looks better than it is: confirm it on rows that took no part in the choice."


def number(count: int) -> str:
    """Return a count in words if it is small."""
    return WORDS[count] if count < len(WORDS) else f"{count:,}"


def _nothing(findings: Findings) -> Html:
    failed = sum(row.status == "failed" for row in findings.rows)
    if failed == len(findings.rows):
        who = {1: "it", 2: "both"}.get(failed, f"all {number(failed)}")
        return join([f"No loss has a score: {who} failed."])
    return join(
        ["No loss has a score: no fit was finished." if not failed else "No loss has a score: those that ran failed."]
    )


def _none_better(findings: Findings, best: Row, base: Row, scores: dict[str, str]) -> Html:
    if best is base:
        return rich("{best}, the baseline, scores best, {score}: no other loss is clearly better.", **scores)
    return rich(
        "No loss is clearly better than {base}, {metric} {of}. {best} scores highest, {ahead}, which may be chance.",
        base=_name(base), metric=title(findings.metric), of=minus(f"{base.score:.4f}"),
        best=scores["best"], ahead=minus(f"{best.score:.4f}"),
    )  # fmt: skip


def _how(row: Row, findings: Findings) -> Html:
    more = f"{_sure(row.better)} sure that it is by more than {findings.settings.rope:g}"
    tests = sum(not math.isnan(r.p) for r in findings.rows)
    adjusted = f"; p {_p(row.p_holm)}{f' adjusted for {number(tests)} losses' if tests > 1 else ''}"
    return join([f"{row.difference:.4f} ({more}{adjusted})"])


def _sure(probability: float) -> str:
    return "more than 99 %" if probability > 0.995 else f"{math.floor(100 * probability)} %"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _name(row: Row) -> Html:
    return tag("code", row.loss)
