"""The page of a comparison of query strategies: what it holds, and how it looks in a browser."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from sklearnloss.comparison.strategy_report import render

BREAKOUT = '</script><script>alert("x")</script>\'"><img src=x onerror=alert(1)> & <b>'
RISE = np.array([0.5, 0.6, 0.68, 0.74, 0.78, 0.8])


def curves_of(levels, seeds=5, seed=0):
    """Return curves that end about so high, with seeds that differ by a level of their own."""
    rng = np.random.default_rng(seed)
    shift = 0.02 * rng.normal(size=(seeds, 1))
    noise = 0.003 * np.r_["-1", np.zeros((seeds, 1)), rng.normal(size=(seeds, len(RISE) - 1))]
    return {
        name: RISE + (level - 0.8) * (RISE > 0.5) + shift + noise * rng.choice([-1, 1], (seeds, 1))
        for name, level in levels.items()
    }


PLAIN = {"random": 0.8, "margin": 0.86, "entropy": 0.801, "coreset": 0.77}
KINDS = {
    "plain": {"curves": curves_of(PLAIN), "seconds": {"coreset": 0.3, "random": 1e-4, "margin": 0.001}},
    "many": {"curves": curves_of({"random": 0.8} | {f"s(k={i}, tau={i / 7:.3f})": 0.7 + 0.008 * i for i in range(24)})},
    "hostile": {
        "curves": curves_of({"random": 0.8, BREAKOUT: 0.9, "n" * 120: 0.7}),
        "failed": {f"<i>{BREAKOUT}": f"RuntimeError: {BREAKOUT}"},
        "warnings": {"random": [f"careful: {BREAKOUT}"]},
        "name": BREAKOUT,
        "estimator": BREAKOUT,
        "versions": {BREAKOUT: BREAKOUT},
        "metric": BREAKOUT,
        "params": {BREAKOUT: BREAKOUT},
    },
    "few labels": {"curves": curves_of(PLAIN), "columns": 99},
    "a column a label": {"curves": curves_of(PLAIN), "columns": 42},
    "a regression": {"curves": curves_of(PLAIN), "metric": "R²", "scorer": "r2", "classes": 0, "full": None},
    "one seed": {"curves": curves_of(PLAIN, seeds=1)},
    "one strategy": {"curves": curves_of({"random": 0.8})},
    "baseline failed": {"curves": curves_of({"margin": 0.8, "entropy": 0.7}), "failed": {"random": "no"}},
    "all failed": {"curves": {}, "failed": {"random": "no", "margin": "neither"}},
    "unfinished": {"curves": curves_of(PLAIN), "finished": False, "unscored": ["late"]},
    "chance is best": {"curves": curves_of({"random": 0.9, "margin": 0.8})},
    "nothing is clear": {
        "curves": {
            "random": RISE + np.array([[0.01], [-0.01], [0.0]]),
            "margin": RISE + np.array([[0.03], [-0.02], [0.0]]),
        },
    },
    "far below": {"curves": curves_of(PLAIN | {"awful": 0.3})},
}  # fmt: skip


@pytest.fixture
def of_kind(made_strategies):
    return lambda kind: made_strategies(**KINDS[kind])


@pytest.fixture(params=KINDS)
def page(request, made_strategies):
    """Every kind of comparison that a page has to show."""
    return render(made_strategies(**KINDS[request.param]))


class Elements(HTMLParser):
    """Every element of a page, as a browser's parser meets them."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    handle_startendtag = handle_starttag


def main_of(page):
    """Return what the page holds as a tree; parsing proves that it is well-formed."""
    return ElementTree.fromstring(page[page.index("<main") : page.index("</main>") + len("</main>")])


def text_of(node):
    return "".join(node.itertext())


def shown(page):
    """Return the text of a page."""
    return " ".join(text_of(main_of(page)).split())


def cells(page, kind):
    """Return the texts of the rows of a table, by the class of the table."""
    found = [node for node in main_of(page).iter("table") if kind in node.get("class").split()]
    return [[text_of(cell) for cell in row] for node in found for row in node.find("tbody")]


def test_ids_are_unique_and_what_refers_to_one_finds_it(page):
    found = Elements(page).found
    ids = [attributes["id"] for _, attributes in found if "id" in attributes]
    assert len(set(ids)) == len(ids)
    wanted = {name for _, a in found for key in ("aria-labelledby", "for") if key in a for name in a[key].split()}
    assert wanted | {a["href"][1:] for tag, a in found if tag == "a"} <= set(ids)


def test_it_loads_nothing_and_runs_nothing_of_the_user_s(page):
    for tag, attributes in Elements(page).found:
        assert "src" not in attributes
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        assert tag not in ("img", "i")
        assert attributes.get("href", "#").startswith("#") or (tag, attributes["href"]) == ("link", "data:,")
    assert page.count("<script>") == 1
    assert "$" not in re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)  # no place was left unfilled


def test_pictures_and_tables_say_what_they_show(page):
    tree = main_of(page)
    inner = {child for svg in tree.iter("svg") for child in svg.iter("svg") if child is not svg}
    hidden = {svg for node in tree.iter() if node.get("aria-hidden") == "true" for svg in node.iter("svg")}
    for svg in tree.iter("svg"):
        if svg not in inner and svg not in hidden:
            assert svg.get("role") == "img"
            assert text_of(svg.find("title")).strip()
    for table in tree.iter("table"):
        assert text_of(table.find("caption")).strip()


def test_sections_stand_in_their_order(of_kind):
    tree = main_of(render(of_kind("plain")))
    headings = [text_of(node) for node in tree.iter("h2")]
    assert headings == ["Learning curves", "Strategies", "Round by round", "Cost", "Method"]


def test_the_table_says_what_the_one_in_the_terminal_says(of_kind):
    result = of_kind("plain")
    plain = [re.split(r"  +", line) for line in result.to_text().splitlines()[1:5]]
    said = [[cell.replace("\u2212", "-") for cell in row if cell] for row in cells(render(result), "results")]
    assert said == plain


def test_the_matrix_holds_the_penalties_and_the_mean_of_each_row(of_kind):
    result = of_kind("plain")
    rows = cells(render(result), "matrix")
    assert [row[0] for row in rows] == [row.strategy for row in result.ranked]
    for i, row in enumerate(rows):
        values = [0.0 if not text else float(text) for text in row[1:]]
        np.testing.assert_allclose(values[:-1], result.penalty[i], atol=0.005)
        assert values[-1] == pytest.approx(result.penalty[i].sum() / 3, abs=0.005)
    assert result.penalty.max() > 0.5


def test_rounds_are_counted_and_drawn(of_kind):
    result = of_kind("plain")
    rows = {row.strategy: row for row in result.rows}
    found = cells(render(result), "won")
    assert [row[0] for row in found] == ["margin", "entropy", "coreset"]
    for name, lost, tied, won, _ in found:
        assert [int(lost), int(tied), int(won)] == [rows[name].losses, rows[name].ties, rows[name].wins]
    assert rows["margin"].wins == 5
    assert rows["coreset"].losses == 5


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("plain", "margin learns fastest, mean accuracy 0.7"),
        ("plain", "adjusted for three strategies). With 60 labels it reaches the 0.7"),
        ("plain", "Of the three strategies tested against random, one is ahead"),
        ("plain", "Models that know all 700 labels reach 0.9700"),
        ("few labels", "Few labels. 70 labels for 99 columns: below one label a column"),
        ("a column a label", "Dotted upright line: as many labels as columns."),
        ("a regression", "mean R² 0."),
        ("one seed", "with a single seed. One seed cannot tell skill from luck."),
        ("one strategy", "random is the only strategy with a learning curve"),
        ("baseline failed", "Nothing is tested: the baseline random has no learning curve."),
        ("all failed", "No strategy has a learning curve: those that ran failed."),
        ("unfinished", "Not finished. 20 runs were done before it ended. The table is over 5 of 5 seeds."),
        ("unfinished", "late not run the comparison ended before its first run"),
        ("chance is best", "random, the baseline, learns fastest"),
        ("nothing is clear", "No strategy is clearly ahead of random, mean accuracy 0.6900. margin is highest"),
        ("far below", "Far below, and left out: awful (0."),
        ("hostile", "Warnings of runs, 1 strategy"),
    ],
)
def test_it_says_what_was_found(of_kind, kind, said):
    assert said in re.sub(r"\s+", " ", " ".join(main_of(render(of_kind(kind))).itertext())).replace(" ,", ",").replace(
        " .", "."
    )


def test_the_same_findings_make_the_same_page_and_it_is_written_whole(of_kind, tmp_path):
    date = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    assert render(of_kind("plain"), created=date) == render(of_kind("plain"), created=date)
    path = of_kind("many").report(tmp_path / "report.html")
    assert path.stat().st_size < 250_000
    assert path.read_text(encoding="utf-8").endswith("</html>\n")


# -- in a browser -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["many", "hostile", "plain", "one seed"])
def test_a_page_is_silent_and_never_wider_than_its_window(opened_page, of_kind, collisions, kind):
    page = opened_page(render(of_kind(kind)))
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert collisions(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(opened_page, of_kind, contrasts, scheme):
    found = contrasts(opened_page(render(of_kind("few labels")), color_scheme=scheme))
    assert len(found) > 100
    assert [text for text, contrast in found if contrast < 4.5] == []


def test_ticking_a_strategy_lifts_its_curve_its_band_and_its_dot_out(opened_page, of_kind):
    page = opened_page(render(of_kind("many")))
    marks = page.locator('g[data-series="9"]')
    assert marks.count() == 2
    fill = "path => getComputedStyle(path).fill"
    assert page.locator('#curve g[data-series="9"] .band').evaluate(fill) == "none"
    page.locator('#curve input[data-series="9"]').click()
    assert marks.evaluate_all("marks => marks.map(mark => mark.classList.contains('on'))") == [True, True]
    assert page.locator('#curve g[data-series="9"] .band').evaluate(fill) != "none"


def test_a_click_sorts_and_what_is_not_reached_comes_last(opened_page, of_kind):
    page = opened_page(render(of_kind("plain")))
    page.get_by_role("columnheader", name="labels to").get_by_role("button").click()
    rows = page.eval_on_selector_all("table.results tbody tr", "rows => rows.map(row => row.cells[0].textContent)")
    assert rows[0] == "margin"
    assert rows[-1] == "coreset"


def test_paper_cuts_no_table(opened_page, of_kind):
    page = opened_page(render(of_kind("many")), width=703)  # A4 between its margins
    page.emulate_media(media="print")
    wide = "tables => tables.filter(t => t.getBoundingClientRect().right > innerWidth).map(t => t.className)"
    assert page.eval_on_selector_all("table", wide) == []
