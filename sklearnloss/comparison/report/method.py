"""How a comparison was done, and the code that does it again."""

from collections.abc import Iterable

from sklearnloss.comparison.code import reproduction
from sklearnloss.comparison.findings import Findings
from sklearnloss.comparison.fits import N_BINS
from sklearnloss.comparison.report.markup import Html, join, tag
from sklearnloss.comparison.report.series import ranked
from sklearnloss.comparison.text import SURE

__all__ = ["code", "method", "over"]

REFERENCES = (
    "Nadeau, Bengio. Inference for the generalization error. Machine Learning 52, 2003.",
    "Benavoli, Corani, Demšar, Zaffalon. Time for a change: a tutorial for comparing multiple classifiers through "
    "Bayesian analysis. JMLR 18, 2017.",
    "Holm. A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6, 1979.",
    "Guo, Pleiss, Sun, Weinberger. On calibration of modern neural networks. ICML 2017.",
)


def over(findings: Findings) -> str:
    """Say how many splits the table is over."""
    fits = {row.fits for row in ranked(findings)}
    if not fits:
        return "no split"
    splits = findings.settings.splits
    if len(fits) > 1:
        return f"{min(fits)} to {max(fits)} of {splits} splits"
    return f"all {splits} splits" if max(fits) == splits else f"{max(fits)} of {splits} splits"


def method(findings: Findings) -> Html:
    """Return the plan, the estimator, and what the statistics mean."""
    settings = findings.settings
    first, last = settings.random_state, settings.random_state + settings.repeats - 1
    seeds = f"{first}" if first == last else f"{first} to {last}, one for each repeat"
    facts: list[tuple[str, str]] = [
        ("Splits", f"{settings.plan}; the table is over {over(findings)}. Every loss is trained on the same splits with the same seeds."),
        ("Splitter", tag("code", settings.splitter)),
        ("Seeds", f"{seeds}; of folds, weights and batches"),
        ("Scores", ", ".join(name.replace("_", " ") for name in settings.scoring) + "; the first ranks"),
        ("Baseline", tag("code", settings.baseline)),
        ("Equivalent in practice", f"scores that differ by less than {settings.rope:g}"),
        ("Estimator", tag("code", settings.estimator)),
        ("Preprocessor", join([tag("code", settings.preprocessor), ", fitted anew on the training rows of each split"])),
    ]  # fmt: skip
    if settings.fit_facts:
        facts.append(("Given to fit", join((tag("code", fact) for fact in settings.fit_facts), ", ")))
    facts.append(("Versions", ", ".join(f"{name} {version}" for name, version in settings.versions.items()) or "not recorded"))
    pairs = (join([tag("dt", name), tag("dd", text)]) for name, text in facts)
    return join([tag("dl", *pairs, class_="method"), _statistics(findings)])


def _statistics(findings: Findings) -> Html:
    held = findings.settings.test_share
    sentences = [
        ("95 % interval.", f"Of the mean score over the splits, with the variance enlarged for training rows that splits share [1]; {held:.0%} of the rows are held out in each. It speaks of models trained on so many rows of this population."),
        ("Worse, equivalent, better.", f"Probabilities of the Bayesian correlated t-test [2]: that the loss differs from the baseline by more than {findings.settings.rope:g} downwards, by less, or upwards. The verdict names one of them from {SURE:.0%}; “not worse” and “not better” are two of them together."),
        ("p (Holm).", "Two-sided corrected resampled t-test against the baseline [1], adjusted for the number of losses tested [3]."),
        ("ECE and NLL.", f"Expected calibration error of {N_BINS} bins of equal width [4], and log loss, which is shown for losses whose probabilities are meant to be those of the classes."),
        ("Fit and predict.", "Median wall time of one fit, preprocessing included, and of predicting the rows held out."),
    ]  # fmt: skip
    said = (tag("p", tag("b", head), f" {text}") for head, text in sentences)
    return join([tag("h3", "How to read the numbers"), *said, tag("h3", "References"), _references(REFERENCES)])


def _references(lines: Iterable[str]) -> Html:
    return tag("ol", *(tag("li", line) for line in lines), class_="references")


def code(findings: Findings) -> Html:
    """Return the script that does the best loss's part again, with a button that copies it."""
    button = tag("button", "Copy", type="button", class_="copy js-only", data_copy="script")
    said = tag("span", role="status", class_="muted")
    box = tag("pre", tag("code", reproduction(findings), id="script"), tabindex=0, role="region", aria_label="Python")
    return tag("div", tag("div", button, said, class_="bar-of-code"), box, class_="code")
