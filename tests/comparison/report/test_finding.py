"""The outcome in words."""

import re

import pytest

from sklearnloss.comparison.report.finding import finding, tally


def plain(html):
    return re.sub(r"<[^>]+>", "", html).replace("&lt;", "<")


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [
        (
            "plain",
            r"gce\(q=0.7\) scores best, accuracy 0\.\d{4}\. It is better than ce by 0\.\d{4} "
            r"\((9\d|more than 99) % sure that it is by more than 0\.01; p < 0\.001 adjusted for three losses\)\.",
        ),
        (
            "far below",
            r"No loss is clearly better than ce, accuracy 0\.\d{4}\. gce scores highest, 0\.\d{4}, which may be",
        ),
        ("one split", r"gce scores best, accuracy 0\.\d{4}, on a single split\. One split cannot tell"),
        ("one loss", r"ce is the only loss with a score: accuracy 0\.\d{4}\.$"),
        ("baseline failed", r"gce scores best, .* Nothing is tested: the baseline ce has no score\."),
        ("all failed", r"^No loss has a score: both failed\.$"),
        ("nothing ran", r"^No loss has a score: no fit was finished\.$"),
    ],
)
def test_the_outcome_claims_no_more_than_is_known(of_kind, kind, pattern):
    assert re.search(pattern, plain(finding(of_kind(kind))))


def test_a_baseline_that_is_best_is_said_to_be_so(made):
    said = plain(finding(made({"ce": 0.9, "gce": 0.8})))
    assert re.fullmatch(r"ce, the baseline, scores best, accuracy 0\.\d{4}: no other loss is clearly better\.", said)


def test_a_clearly_better_loss_is_named_even_if_another_scores_higher(made):
    result = made({"ce": 0.8, "noisy": 0.9, "steady": 0.85})
    for record, shift in zip(result.records["noisy"], (-0.3, 0.3, -0.2, 0.2, -0.1, 0.12), strict=True):
        record["scores"]["accuracy"] += shift
    assert re.match(
        r"noisy scores best, .* but is not clearly better than ce\. steady is, by 0\.0", plain(finding(result))
    )


def test_the_others_are_counted_by_verdict(of_kind):
    assert (
        tally(of_kind("plain"))
        == "Of the three losses tested against ce, one is better, one is worse and one is undecided."
    )
    assert tally(of_kind("one split")) == ""
