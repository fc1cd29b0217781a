"""How a comparison was done, and the code that does it again."""

from sklearnloss.comparison.code import reproduction
from sklearnloss.comparison.findings import Findings
from sklearnloss.comparison.fits import N_BINS
from sklearnloss.comparison.protocols import PROTOCOLS, Judged
from sklearnloss.comparison.report.files import fill
from sklearnloss.comparison.report.markup import Html, join, rich, tag
from sklearnloss.comparison.report.series import ranked
from sklearnloss.comparison.scoring import title
from sklearnloss.comparison.text import SURE

__all__ = ["code", "method", "over"]

READING: dict[Judged, tuple[str, str]] = {  # what to say of the scores and times, and the paper that it cites
    "predictions": (
        "reading_predictions.html",
        "Guo, Pleiss, Sun, Weinberger. On calibration of modern neural networks. ICML 2017.",
    ),
    "embeddings": (
        "reading_embeddings.html",
        "Musgrave, Belongie, Lim. A metric learning reality check. ECCV 2020.",
    ),
    "bags": (
        "reading_bags.html",
        "Dawid, Sebastiani. Coherent dispersion criteria for optimal experimental design. Annals of Statistics, 1999.",
    ),
}


def over(findings: Findings) -> str:
    """Say how many splits the table is over."""
    fits = {row.fits for row in ranked(findings)}
    splits = findings.settings.splits
    if len(fits) > 1:
        return f"{min(fits)} to {max(fits)} of {splits} splits"
    if max(fits) < splits:
        return f"{max(fits)} of {splits} splits"
    return "the only split" if splits == 1 else f"all {splits} splits"


def method(findings: Findings) -> Html:
    """Return the plan, the estimator, and what the statistics mean."""
    pairs = (join([tag("dt", name), tag("dd", text)]) for name, text in _facts(findings))
    settings = findings.settings
    reading, paper = READING[PROTOCOLS[settings.task].judged]
    text = fill(
        "reading.html",
        held=f"{100 * settings.test_share:.0f} %",
        rope=f"{settings.rope:g}",
        sure=f"{100 * SURE:.0f} %",
        measures=fill(reading, bins=str(N_BINS)),
        reference=tag("li", paper),
    )
    return join([tag("dl", *pairs, class_="method"), text])


def _facts(findings: Findings) -> list[tuple[str, str]]:
    """Return what was chosen, each with its name."""
    settings = findings.settings
    same = "every loss is trained on the same splits with the same seeds"
    facts: list[tuple[str, str]] = [
        (
            "Splits",
            f"{settings.plan}; the table is over {over(findings)}; {same}" if ranked(findings) else settings.plan,
        ),
        ("Splitter", tag("code", settings.splitter)),
        ("Seeds", _seeds(settings.random_state, settings.repeats)),
        ("Scores", join([", ".join(title(name) for name in settings.scoring), "; the first ranks"])),
        ("Baseline", tag("code", settings.baseline)),
        ("Equivalent in practice", f"scores that differ by less than {settings.rope:g}"),
        ("Estimator", tag("code", settings.estimator)),
        ("Preprocessor", rich("{code}, fitted anew on each split", code=tag("code", settings.preprocessor))),
    ]
    if settings.fit_facts:
        facts.append(("Given to fit", join((tag("code", fact) for fact in settings.fit_facts), ", ")))
    if settings.versions:
        facts.append(("Versions", ", ".join(f"{name} {version}" for name, version in settings.versions.items())))
    return facts


def _seeds(first: int, repeats: int) -> str:
    last = first + repeats - 1
    if repeats == 1:
        return f"{first}, of folds, weights and batches"
    return f"{first} {'and' if repeats == 2 else 'to'} {last}, one for each repeat: of folds, weights and batches"


def code(findings: Findings) -> Html:
    """Return the script that does the best loss's part again, with a button that copies it."""
    about = "It prints the mean score of {best}, and fits it on all rows."
    button = tag("button", "Copy", type="button", class_="copy js-only", data_copy="script")
    said = tag("span", role="status", class_="muted")
    script = tag("code", reproduction(findings), id="script")
    return tag(
        "div",
        tag("p", rich(about, best=tag("code", findings.best)), class_="lead"),
        tag("div", button, said, class_="bar-of-code"),
        tag("pre", script, tabindex=0, role="region", aria_label="Python"),
        class_="code",
    )
