"""The page of a comparison on bags: facts of bags, and nothing that needs labels of rows."""

import re

from sklearnloss.comparison.report import render


def shown(page):
    """Return the text of a page, without markup."""
    return " ".join(re.sub(r"<[^>]+>", " ", page[page.index("<main") :]).split())


def test_the_page_speaks_of_bags_and_their_proportions(of_kind):
    text = shown(render(of_kind("bags")))
    for words in (
        "3 classes 37 bags",
        "Bags 37",
        "Size of bags 2 to 1,234 rows, the median 8.5",
        "To beat negative bag KL −0.1234: the mean proportions of all bags as the prediction for each",
        "name share share in a bag",
        "left 50.0 % 0.0 % to 100.0 %",
        "Negative bag KL with 95 % intervals",
        "Bags. The probabilities predicted for the rows of a bag held out are averaged",
        "Dawid, Sebastiani.",
        "Duplicate rows 6",
        "from sklearnloss import LLPClassifier, StratifiedBagKFold, bag_kl_scorer, bag_targets, make_preprocessor",
    ):
        assert words in text


def test_what_needs_labels_of_rows_is_absent(of_kind):
    page = render(of_kind("bags"))
    text = shown(page)
    for words in (
        "Imbalance",
        "Confusion",
        "confusion matrix",
        "ECE",
        "NLL",
        "log loss",
        "Guo",
        "predicted wrong",
        "equal rows",
    ):
        assert words not in text
    for key in ("confusion", "calibration", "calibration-chart"):
        assert f'id="{key}"' not in page
    for key in ("intervals", "cost", "learning"):
        assert f'id="{key}"' in page


def test_bags_of_one_size_have_no_range(of_kind):
    result = of_kind("bags")
    result.data["bags"] |= {"smallest": 8, "median": 8.0, "largest": 8}
    assert "Size of bags 8 rows each" in shown(render(result))
