"""The page itself: what it holds, that it loads nothing, and that nothing the user named can break out of it."""

import base64
import hashlib
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

from sklearnloss import compare
from sklearnloss.comparison.report import render
from sklearnloss.comparison.text import table

HEADINGS = ("h1", "h2", "h3")
REFERRING = ("aria-labelledby", "for")


class Elements(HTMLParser):
    """Every element of a page, as a browser's parser meets them."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    handle_startendtag = handle_starttag


def elements(page):
    return Elements(page).found


def main_of(page):
    """Return what the page holds as a tree; parsing proves that it is well-formed."""
    return ElementTree.fromstring(page[page.index("<main") : page.index("</main>") + len("</main>")])


def text_of(node):
    return "".join(node.itertext())


def cells(page, kind):
    """Return the texts of the rows of a table, by the class of the table."""
    found = [node for node in main_of(page).iter("table") if kind in node.get("class").split()]
    return [[text_of(cell) for cell in row] for node in found for row in node.find("tbody")]


def content(page, tag):
    return re.findall(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL)


def test_a_page_has_one_title_and_no_heading_skips_a_level(comparison):
    page = render(comparison)
    levels = [HEADINGS.index(tag) for tag, _ in elements(page) if tag in HEADINGS]
    assert levels[0] == 0
    assert levels.count(0) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert ("html", {"lang": "en"}) in elements(page)


def test_ids_are_unique_and_what_refers_to_one_finds_it(comparison):
    found = elements(render(comparison))
    ids = [attributes["id"] for _, attributes in found if "id" in attributes]
    assert len(set(ids)) == len(ids)
    wanted = {name for _, a in found for key in REFERRING if key in a for name in a[key].split()}
    wanted |= {a["href"][1:] for tag, a in found if tag == "a"}
    wanted |= {a["data-copy"] for _, a in found if "data-copy" in a}
    assert wanted <= set(ids)


def test_nothing_is_loaded_from_anywhere(comparison):
    page = render(comparison)
    for tag, attributes in elements(page):
        assert "src" not in attributes
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("href", "#").startswith("#") or (tag, attributes["href"]) == ("link", "data:,")
    for text in (*content(page, "style"), *content(page, "script")):
        assert not re.search(r"url\(|@import|https?:|fetch|XMLHttpRequest|localStorage|cookie", text)
    assert "http://" not in page
    assert "https://" not in page


def test_the_policy_allows_the_page_s_own_script_and_styles_and_no_other(comparison):
    page = render(comparison)
    [policy] = [a["content"] for tag, a in elements(page) if a.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    for kind, tag in (("style-src", "style"), ("script-src", "script")):
        digests = {
            f"'sha256-{base64.b64encode(hashlib.sha256(t.encode()).digest()).decode()}'" for t in content(page, tag)
        }
        assert set(rules[kind].split()) == digests


def test_pictures_say_what_they_show(comparison):
    tree = main_of(render(comparison))
    inner = {child for svg in tree.iter("svg") for child in svg.iter("svg") if child is not svg}
    hidden = {svg for node in tree.iter() if node.get("aria-hidden") == "true" for svg in node.iter("svg")}
    for svg in tree.iter("svg"):
        if svg in inner or svg in hidden:
            continue
        assert svg.get("role") == "img"
        assert text_of(svg.find("title")).strip()
    for table_ in tree.iter("table"):
        assert text_of(table_.find("caption")).strip()


def test_every_loss_is_in_a_table(comparison):
    page = render(comparison)
    shown = [row[0] for kind in ("results", "failed") for row in cells(page, kind)]
    names = [re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "�", row.loss) for row in comparison.rows]
    assert shown == names


def test_the_table_says_what_the_one_in_the_terminal_says(of_kind):
    result = of_kind("plain")
    page = cells(render(result), "results")
    plain = [re.split(r"  +", line) for line in table(result).splitlines()[1:5]]
    for row, line in zip(page, plain, strict=True):
        said = [cell.replace("\u2212", "-") for cell in row[:-1] if cell]
        assert said == line


def test_losses_that_failed_say_why(of_kind):
    assert cells(render(of_kind("all failed")), "failed") == [
        ["ce", "failed", "NonFiniteLossError: it left the numbers"],
        ["gce", "failed", "no"],
    ]


def test_the_code_that_reproduces_the_best_loss_is_there_as_it_is(of_kind):
    result = of_kind("plain")
    [script] = [node for node in main_of(render(result)).iter("code") if node.get("id") == "script"]
    assert text_of(script) == result.code()


def test_names_of_the_user_are_text_wherever_they_stand(of_kind):
    result = of_kind("hostile")
    page = render(result)
    tags = [tag for tag, _ in elements(page)]
    assert tags.count("script") == 1
    assert "img" not in tags
    assert "i" not in tags
    tree = main_of(page)
    name = result.name
    assert text_of(tree.find(".//h1")) == name
    for node in (".//dd", ".//svg//title", ".//details//dd", ".//li/b", ".//td", ".//tbody//th"):
        assert any(name in text_of(found) for found in tree.findall(node)), node
    assert [a["content"] for tag, a in elements(page) if a.get("name") == "generator"] == ["sklearnloss"]


def test_letters_that_no_file_can_hold_are_replaced(of_kind, tmp_path):
    path = of_kind("hostile").report(tmp_path / "report.html")
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", text)
    assert "損失関数 🦊" in text


def test_a_large_comparison_stays_below_a_megabyte(made):
    losses = {f"a_loss_with_quite_a_name(lam={i})": 0.5 + 0.01 * i for i in range(25)}
    result = made(losses, classes=[f"class number {i}" for i in range(40)], splits=5, repeats=2, epochs=25)
    assert len(render(result).encode()) < 500_000


def test_the_same_findings_make_the_same_page(of_kind):
    date = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    page = render(of_kind("plain"), created=date)
    assert page == render(of_kind("plain"), created=date)
    assert '<time datetime="2026-01-02T03:04:00+00:00">2026-01-02 03:04</time>' in page


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("several labels", "no confusion matrix of several labels"),
        ("many classes", "no confusion matrix of 100 classes: it is kept for up to 40"),
        ("unfinished", "Not finished."),
        ("far below", "Far below, and left out: mae (0."),
        ("many classes", "88 more classes"),
        ("many losses", "Without probabilities, and not shown: ldr(lam=3.5, margin=0.3)."),
    ],
)
def test_what_is_missing_is_said(of_kind, kind, said):
    assert said in text_of(main_of(render(of_kind(kind))))


def test_the_confusion_matrix_is_summed_over_the_splits_and_read_along_true_classes(made):
    result = made({"ce": 0.8}, classes=("cat", "dog"))
    for record in result.records["ce"]:
        record["confusion"] = [[9, 1], [4, 16]]
    page = render(result)
    assert cells(page, "matrix") == [["cat", "90", "10"], ["dog", "20", "80"]]
    assert "dog taken for cat: 20.0 % of its rows (24 of 120)" in text_of(main_of(page))


def test_rows_of_the_confusion_matrix_have_the_names_of_their_classes(quick):
    y = np.repeat([10, 9, 2], [30, 45, 60])
    X = np.random.default_rng(0).normal(size=(len(y), 2))
    result = compare(X, y, losses=["cross_entropy"], estimator=quick, cv=3, repeats=1, progress=False)
    counts = np.sum([record["confusion"] for record in result.records["cross_entropy"]], axis=0)
    assert counts.sum(axis=1).tolist() == [60, 45, 30]
    assert [row[0] for row in cells(render(result), "matrix")] == ["2", "9", "10"]


def test_a_comparison_that_was_run_has_a_report(result):
    page = render(result)
    assert [row[0] for row in cells(page, "failed")] == ["broken"]
    assert len(cells(page, "results")) == 3
    ids = {attributes.get("id") for _, attributes in elements(page)}
    assert {"intervals", "cost", "learning", "calibration", "confusion", "code"} <= ids
