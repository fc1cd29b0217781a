import dataclasses
import itertools
import sys
from io import BytesIO
from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy.stats import f, friedmanchisquare, rankdata, wilcoxon

from sklearnloss import rank
from sklearnloss.comparison.statistics import holm
from sklearnloss.exceptions import DataError, DataWarning, ParameterError

matplotlib.use("Agg")

# Demsar (2006), table 6: AUC of C4.5, and of C4.5 with tuned m, tuned cf, and both; of voting the paper ranks cf before
# m+cf, which three digits do not show
TREES = pd.DataFrame(
    {
        "C4.5": [
            0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.000, 0.940, 0.619, 0.972, 0.957,
        ],
        "m": [
            0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668, 0.583, 0.838, 1.000, 0.962, 0.666, 0.981, 0.978,
        ],
        "cf": [
            0.771, 0.590, 0.968, 0.654, 0.886, 0.916, 0.609, 0.563, 0.866, 1.000, 0.965, 0.614, 0.9751, 0.946,
        ],
        "m+cf": [
            0.798, 0.569, 0.967, 0.657, 0.898, 0.931, 0.685, 0.625, 0.875, 1.000, 0.962, 0.669, 0.975, 0.970,
        ],
    },
    index=[
        "adult (sample)", "breast cancer", "breast cancer wisconsin", "cmc", "ionosphere", "iris", "liver disorders",
        "lung cancer", "lymphography", "mushroom", "primary tumor", "rheum", "voting", "wine",
    ],
)  # fmt: skip


def table(n, k, seed=0, effect=0.0, digits=3):
    """Return scores of k losses on n data sets."""
    values = np.random.default_rng(seed).normal(size=(n, k)) + effect * np.arange(k)
    return pd.DataFrame(
        values.round(digits), index=[f"set {i}" for i in range(n)], columns=[f"loss_{j}" for j in range(k)]
    )


# -- the example of the paper -----------------------------------------------------------------------------------------


def test_mean_ranks_are_those_of_the_paper():
    ranks = rank(TREES).ranks
    assert list(ranks) == ["m+cf", "m", "cf", "C4.5"]
    assert list(ranks.values()) == pytest.approx([1.964, 2.000, 2.893, 3.143], abs=6e-4)


def test_the_critical_difference_is_that_of_the_paper_and_finds_what_it_finds():
    result = rank(TREES)
    assert result.critical_difference == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 14)), abs=1e-3)  # 1.25
    assert result.cliques == (("m+cf", "m", "cf", "C4.5"),)  # 3.143 - 1.964 = 1.18 is below it
    looser = rank(TREES, alpha=0.1)
    assert looser.critical_difference == pytest.approx(2.291 * np.sqrt(20 / 84), abs=1e-3)  # 1.12
    assert looser.cliques == (("m+cf", "m", "cf"), ("cf", "C4.5"))


def test_the_statistic_is_that_of_the_paper_but_for_ties():
    result = rank(TREES)
    chi2 = 12 * 14 / (4 * 5) * (sum(r**2 for r in result.ranks.values()) - 4 * 25 / 4)
    assert chi2 == pytest.approx(9.28, abs=0.05)
    assert 13 * chi2 / (14 * 3 - chi2) == pytest.approx(3.69, abs=0.03)
    # of 14 rows one ties in all four, others in two: sums of t^3 - t
    ties = sum(int(c) ** 3 - int(c) for row in TREES.to_numpy() for c in np.unique(row, return_counts=True)[1])
    corrected = chi2 / (1 - ties / (14 * (4**3 - 4)))
    assert result.friedman.statistic == pytest.approx(13 * corrected / (14 * 3 - corrected))
    assert result.friedman.p == pytest.approx(f(3, 39).sf(result.friedman.statistic))
    assert not result.friedman.exact
    assert result.friedman.p < 0.05


# -- Friedman ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "k", "digits"), [(12, 3, 3), (12, 3, 0), (20, 8, 3), (20, 8, 0)])
def test_the_statistic_is_made_of_that_of_scipy(n, k, digits):
    scores = table(n, k, effect=0.2, digits=digits)
    chi2 = friedmanchisquare(*scores.to_numpy().T).statistic
    assert rank(scores).friedman.statistic == pytest.approx((n - 1) * chi2 / (n * (k - 1) - chi2))


def test_the_statistic_is_the_analysis_of_variance_of_the_ranks():
    ranks = rankdata(-table(15, 5).to_numpy(), axis=1)
    between = 15 * ((ranks.mean(0) - 3) ** 2).sum()
    within = ((ranks - ranks.mean(0)) ** 2).sum()
    assert rank(table(15, 5)).friedman.statistic == pytest.approx((between / 4) / (within / (14 * 4)))


@pytest.mark.parametrize(("n", "k"), [(2, 2), (3, 3), (4, 3), (2, 4)])
@pytest.mark.parametrize("digits", [3, 0])
def test_small_tables_are_counted_in_full(n, k, digits):
    scores = table(n, k, seed=n, digits=digits)
    ranks = rankdata(-scores.to_numpy(), axis=1)
    counts = [
        np.var(np.sum(rows, axis=0)) >= np.var(ranks.sum(axis=0)) - 1e-9
        for rows in itertools.product(*(list(itertools.permutations(row)) for row in ranks))
    ]
    result = rank(scores).friedman
    assert result.exact
    assert result.p == pytest.approx(np.mean(counts))


def test_a_published_exact_probability():
    # three losses, four data sets, rank sums 4, 8, 12: chi2 = 8, which has p = 0.0046 in Friedman's tables
    scores = {str(i): {"a": 3, "b": 2, "c": 1} for i in range(4)}
    result = rank(scores).friedman
    assert result.p == pytest.approx(6 / 6**4)
    assert result.statistic == np.inf


def test_two_data_sets_that_agree_on_two_losses_say_nothing():
    assert rank({"x": {"a": 1, "b": 0}, "y": {"a": 1, "b": 0}}).friedman.p == 0.5  # chance does so half the time
    assert rank({"x": {"a": 1, "b": 0}, "y": {"a": 0, "b": 1}}).friedman.p == 1.0


def test_many_data_sets_that_agree_leave_no_doubt():
    result = rank(table(30, 5, effect=100.0))
    assert result.friedman == (np.inf, 0.0, False)
    assert result.ranks == {f"loss_{4 - j}": j + 1 for j in range(5)}


def test_losses_that_tie_everywhere_are_equal():
    result = rank({name: {"a": 0.5, "b": 0.5, "c": 0.5} for name in "xyz"})
    assert result.ranks == {"a": 2, "b": 2, "c": 2}
    assert result.friedman == (0.0, 1.0, True)
    assert set(result.p_values.values()) == {1.0}
    assert result.cliques == (("a", "b", "c"),)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equal_losses_are_rarely_called_different_and_unequal_ones_often(seed):
    found = [np.mean([rank(table(15, 4, 1000 * seed + i, e)).friedman.p < 0.05 for i in range(60)]) for e in (0, 0.6)]
    assert found[0] < 0.2 < 0.7 < found[1]


# -- ranks and cliques ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "q"),
    list(zip(range(2, 11), [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164], strict=True)),
)
def test_the_critical_difference_is_that_of_the_table_of_the_paper(k, q):
    assert rank(table(9, k)).critical_difference == pytest.approx(q * np.sqrt(k * (k + 1) / 54), abs=1e-3)


def test_ties_share_ranks_and_equal_ranks_stand_in_the_order_of_names():
    result = rank({"x": {"c": 1, "b": 1, "a": 0}, "y": {"c": 2, "b": 2, "a": 1}, "z": {"c": 0, "b": 0, "a": 0}})
    assert list(result.ranks.items()) == [("b", pytest.approx(5 / 3)), ("c", pytest.approx(5 / 3)), ("a", 8 / 3)]


def test_means_that_differ_by_rounding_are_ties():
    folds = [0.1, 0.2, 0.3, 0.7]
    scores = {name: {"a": folds, "b": folds[::-1], "c": [0.3, 0.7, 0.1, 0.2]} for name in "xy"}
    assert rank(scores).ranks == {"a": 2, "b": 2, "c": 2}


def test_the_order_of_data_sets_and_losses_changes_nothing():
    scores = table(20, 6, effect=0.3)
    other = scores.sample(frac=1, random_state=0).sample(frac=1, axis=1, random_state=0)
    assert list(other.columns) != list(scores.columns)
    one, two = rank(scores), rank(other)
    assert str(one) == str(two)
    assert list(one.ranks) == list(two.ranks)
    assert one.p_values == pytest.approx(two.p_values)


def test_scores_of_each_data_set_may_have_their_own_scale():
    scores = table(20, 4, effect=0.3)
    scaled = scores * np.geomspace(1e-3, 1e3, 20)[:, None] + np.arange(20)[:, None]
    assert rank(scores).ranks == rank(scaled).ranks


@pytest.mark.parametrize("seed", range(6))
def test_cliques_are_the_largest_groups_within_the_critical_difference(seed):
    result = rank(table(12, 9, seed, effect=0.15))
    names = list(result.ranks)

    def alike(group):
        return max(result.ranks[n] for n in group) - min(result.ranks[n] for n in group) <= result.critical_difference

    groups = [names[i:j] for i in range(9) for j in range(i + 2, 10) if alike(names[i:j])]
    largest = [tuple(g) for g in groups if not any(set(g) < set(other) for other in groups)]
    assert list(result.cliques) == largest


def test_losses_that_all_differ_are_in_no_clique():
    assert rank(table(200, 4, effect=5.0)).cliques == ()


# -- Wilcoxon ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("baseline", [None, "loss_0", "loss_2"])
def test_p_values_are_wilcoxon_against_the_reference_adjusted_by_holm(baseline):
    scores = table(20, 5, effect=0.2, digits=9)
    result = rank(scores, baseline=baseline)
    reference = baseline or next(iter(result.ranks))
    others = [name for name in result.ranks if name != reference]
    assert result.reference == reference
    assert list(result.p_values) == others
    plain = [wilcoxon(scores[name], scores[reference]).pvalue for name in others]
    assert list(result.p_values.values()) == pytest.approx(holm(plain).tolist())


def test_zeros_are_shared_out_and_equal_differences_tie():
    # differences 0, 0.05, 0.05, 0.05, up to rounding; each zero counts half for either sign
    scores = {
        "x": {"a": 0.5, "b": 0.5},
        "y": {"a": 0.85, "b": 0.80},
        "z": {"a": 0.75, "b": 0.70},
        "w": {"a": 0.35, "b": 0.30},
    }
    ranks = [1, 3, 3, 3]  # of 0 and three ties
    sums = [
        sum(r * s for r, s in zip(ranks, (0.5, *signs), strict=True)) for signs in itertools.product((0, 1), repeat=3)
    ]
    extreme = np.mean([s >= 9.5 or s <= 0.5 for s in sums])
    assert rank(scores).p_values == {"b": pytest.approx(extreme)}


# -- what it reads ----------------------------------------------------------------------------------------------------


def test_results_mappings_and_frames_say_the_same():
    scores = table(5, 3)
    mapping = scores.to_dict(orient="index")
    objects = [SimpleNamespace(name=name, scores=row) for name, row in mapping.items()]
    splits = {name: {loss: [s - 0.1, s + 0.1, s] for loss, s in row.items()} for name, row in mapping.items()}
    for other in (mapping, objects, tuple(objects), iter(objects), splits):
        result = rank(other)
        assert str(result) == str(rank(scores))
        assert result.data_sets == tuple(scores.index)


def test_a_loss_that_misses_a_data_set_is_left_out_and_named():
    scores = table(4, 4)
    scores.loc["set 1", "loss_2"] = np.nan
    wanted = r"^rank leaves losses out that miss a data set: 'loss_2' has no score on 'set 1'$"
    with pytest.warns(DataWarning, match=wanted) as caught:
        result = rank(scores)
    assert caught[0].filename == __file__
    assert str(result) == str(rank(scores.drop(columns="loss_2")))
    mapping = {"x": {"a": 1, "b": 2, "c": [0, np.nan]}, "y": {"a": 1, "b": 2, "d": []}}
    with pytest.warns(DataWarning, match=r"'c' has no score on 'x', 'y'; 'd' has no score on 'x', 'y'$"):
        assert set(rank(mapping).ranks) == {"a", "b"}


def test_too_few_losses_or_data_sets_are_refused():
    with pytest.raises(DataError, match=r"^rank: ranks are over several data sets, got 1: \['set 0'\]"):
        rank(table(1, 3))
    with pytest.raises(DataError, match=r"got 0: \[\]"):
        rank([])
    with pytest.raises(DataError, match=r"^rank: at least two losses need a score on every data set, got \['a'\]$"):
        rank({"x": {"a": 1}, "y": {"a": 1}})
    with pytest.raises(DataError, match=r"got \['a'\]; 'b' has no score on 'y'; 'c' has no score on 'x'$"):
        rank({"x": {"a": 1, "b": 1}, "y": {"a": 1, "c": 1}})


def test_what_is_no_result_is_refused():
    for given, name in ((3, "int"), ("iris", "str"), ([{"a": 1}], "dict"), ({"x": 1, "y": 2}, "int")):
        with pytest.raises(DataError, match=rf"^rank: {name} is no result; give results of compare"):
            rank(given)
    one = SimpleNamespace(name="x", scores={"a": 1, "b": 2})
    with pytest.raises(DataError, match=r"^rank: data set 'x' is there 2 times; give each its own name$"):
        rank([one, one])
    with pytest.raises(DataError, match=r"^rank: the scores of 'a' on 'x' must be numbers, got 'high'$"):
        rank({"x": {"a": "high", "b": 1}, "y": {"a": 1, "b": 1}})


def test_a_level_out_of_range_or_an_unknown_baseline_is_refused():
    with pytest.raises(ParameterError, match=r"^rank: alpha must be a float in \(0, 1\), got 5$"):
        rank(TREES, alpha=5)
    with pytest.raises(ParameterError, match=r"^rank: baseline 'C45' is not among .*; did you mean 'C4.5'\?; they are"):
        rank(TREES, baseline="C45")


# -- what it shows ----------------------------------------------------------------------------------------------------


def test_a_ranking_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        rank(TREES).alpha = 0.1


def test_the_frame_holds_ranks_and_p_values_the_best_first():
    result = rank(TREES, baseline="C4.5")
    frame = result.to_frame()
    assert frame.index.tolist() == list(result.ranks)
    assert frame.index.name == "loss"
    assert frame["rank"].to_dict() == result.ranks
    assert frame["p_value"].drop("C4.5").to_dict() == result.p_values
    assert np.isnan(frame.loc["C4.5", "p_value"])


def test_the_text_is_a_plain_table():
    assert str(rank(TREES, alpha=0.1, baseline="C4.5")).splitlines() == [
        "4 losses on 14 data sets, mean ranks, 1 is best",
        "",
        "  rank  loss  alike  p against C4.5",
        "  1.96  m+cf  |      0.030",
        "  2.00  m     |      0.030",
        "  2.89  cf    ||     0.851",
        "  3.14  C4.5   |     -",
        "",
        "all equal (Friedman, Iman-Davenport): F = 4.19, p = 0.012",
        "a bar holds ranks that do not differ: critical difference 1.12 (Nemenyi, alpha = 0.1)",
        "p: Wilcoxon's signed ranks, adjusted by Holm",
    ]


@pytest.mark.parametrize(("n", "k", "effect"), [(10, 3, 0.5), (14, 8, 0.1), (30, 20, 0.1), (3, 20, 0.0), (6, 2, 0.0)])
def test_the_diagram_shows_each_loss_at_its_rank_and_a_bar_for_each_clique(n, k, effect):
    import matplotlib.pyplot as plt

    result = rank(table(n, k, effect=effect))
    ax = result.plot()
    texts = " ".join(t.get_text() for t in ax.texts)
    for name, value in result.ranks.items():
        assert f"{name}  {value:.2f}" in texts or f"{value:.2f}  {name}" in texts
        assert any(line.get_xdata()[0] == value and line.get_ydata()[0] == 0 for line in ax.lines)
    bars = [line for line in ax.lines if line.get_linewidth() == 4]
    assert len(bars) == len(result.cliques)
    for bar, clique in zip(bars, result.cliques, strict=True):
        assert bar.get_xdata()[0] == pytest.approx(result.ranks[clique[0]], abs=0.2)
        assert bar.get_xdata()[1] == pytest.approx(result.ranks[clique[-1]], abs=0.2)
    assert f"critical difference {result.critical_difference:.2f}" in texts
    plt.close(ax.figure)


@pytest.mark.parametrize(("n", "k"), [(10, 3), (14, 8), (30, 20), (3, 20)])
def test_no_text_of_the_diagram_overlaps_another_or_leaves_the_picture(n, k):
    import matplotlib.pyplot as plt

    scores = table(n, k).rename(columns={"loss_0": "a_loss_with_a_rather_long_name_of_its_own"})
    figure = rank(scores).plot().figure
    figure.canvas.draw()
    boxes = [t.get_window_extent() for t in figure.axes[0].texts]
    assert not [1 for a, b in itertools.combinations(boxes, 2) if a.overlaps(b)]
    page = figure.bbox
    assert all(page.x0 <= b.x0 and b.x1 <= page.x1 and page.y0 <= b.y0 and b.y1 <= page.y1 for b in boxes)
    plt.close(figure)


def test_it_draws_on_the_axes_given():
    ax = Figure(figsize=(8, 3)).add_subplot()
    assert rank(TREES).plot(ax) is ax
    ax.figure.savefig(BytesIO(), format="png")


@pytest.mark.parametrize(
    ("module", "call", "extra"), [("matplotlib.pyplot", "plot", "report"), ("pandas", "to_frame", "data")]
)
def test_without_the_extra_it_says_what_to_install(monkeypatch, module, call, extra):
    result = rank(TREES)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        ImportError, match=rf'Ranking.{call} needs {module[:6]}.*: pip install "sklearnloss\[{extra}\]"'
    ):
        getattr(result, call)()


def test_results_of_compare_may_be_named_by_a_mapping():
    class Result:
        name = "data"

        def __init__(self, **scores):
            self.scores = scores

    results = {"iris": Result(a=[0.9, 0.8], b=[0.7, 0.6]), "wine": Result(a=[0.9, 0.9], b=[0.5, 0.4])}
    assert rank(results).ranks == {"a": 1.0, "b": 2.0}
