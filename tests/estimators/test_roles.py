import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from sklearnloss import Loss, loss
from sklearnloss.exceptions import MissingFactError, TaskError, TrainingError
from sklearnloss.reductions.mean import mean
from sklearnloss.spec import choose
from sklearnloss.training.criterion import Term


def bce(scores, y):
    return binary_cross_entropy_with_logits(scores, y, reduction="none")


@loss("by_score", task="binary")
def by_score(scores, y):
    assert scores.ndim == y.ndim == 1
    return bce(scores, y)


@loss("by_score_in_batches", task="binary", unit="batch")
def by_score_in_batches(scores, y):
    assert scores.ndim == y.ndim == 1
    return bce(scores, y).mean()


@loss("by_score_with_state", task="binary")
class ByScore(nn.Module):
    """It has a parameter and a count of its own, and was built from the facts of its own label."""

    def __init__(self, *, n_classes, priors, class_counts, y_train):
        super().__init__()
        self.n_classes, self.priors, self.class_counts, self.y_train = n_classes, priors, class_counts, y_train
        self.shift = nn.Parameter(torch.zeros(()))
        self.register_buffer("positives", torch.zeros(()))

    def forward(self, scores, y, *, index):
        if self.training:
            assert torch.equal(self.y_train[index].to(y.dtype), y)
            self.positives += y.sum()
        return bce(scores + self.shift, y)


@loss("by_score_with_priors", task="binary")
def by_score_with_priors(scores, y, *, priors):
    assert priors.shape == (2,)
    return bce(scores + (priors[1] / priors[0]).log(), y)


@loss("by_score_of_teacher", task="binary")
def by_score_of_teacher(scores, y, *, teacher):
    return bce(scores, (teacher > 0).to(scores.dtype))


@loss("by_labels", task="multilabel")
def by_labels(label_logits, y):
    assert label_logits.shape == y.shape
    assert label_logits.ndim == 2
    return bce(label_logits, y)


# -- several labels ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [by_score, by_score_in_batches, by_labels], ids=lambda f: f.component.name)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_binary_loss_is_applied_label_by_label_and_averaged(quick, labels, spec, weighted):
    X, Y = labels
    weights = np.linspace(0.1, 2, 120) if weighted and spec is not by_score_in_batches else None
    model = quick(spec, batch_size=32).fit(X, Y, sample_weight=weights)
    direct = quick("bce", batch_size=32).fit(X, Y, sample_weight=weights)
    np.testing.assert_allclose(model.predict_proba(X), direct.predict_proba(X), rtol=1e-7)
    np.testing.assert_allclose(model.loss_curve_, direct.loss_curve_, rtol=1e-7)


def test_each_label_has_its_own_copy_of_a_loss_with_state(quick, labels):
    X, Y = labels
    model = quick(ByScore, max_epochs=2, batch_size=32).fit(X, Y)
    modules = model.net_.criterion_.terms[0].modules_
    assert [int(m.positives) for m in modules] == (2 * Y.sum(0)).tolist()
    assert len({m.shift.item() for m in modules}) == 3


def test_each_label_is_a_problem_of_two_classes_with_its_own_facts(quick, labels):
    X, Y = labels
    weights = np.linspace(0.1, 2, 120)
    for m, y in zip(
        quick(ByScore, max_epochs=1).fit(X, Y, sample_weight=weights).net_.criterion_.terms[0].modules_,
        Y.T,
        strict=True,
    ):
        assert m.n_classes == 2
        np.testing.assert_array_equal(m.class_counts, np.bincount(y))
        np.testing.assert_allclose(m.priors, np.bincount(y, weights=weights) / weights.sum())
        np.testing.assert_array_equal(m.y_train, y)


def test_fit_facts_reach_a_function_label_by_label(quick, labels):
    X, Y = labels
    model = quick(by_score_with_priors, max_epochs=60).fit(X, Y)
    shifts = np.log(Y.mean(0) / (1 - Y.mean(0)))
    alone = [quick(by_score_with_priors, max_epochs=1).fit(X, Y[:, [j, j]]).loss_curve_[0] for j in range(3)]
    assert len(set(alone)) == 3
    truth = (model.decision_function(X) + shifts > 0).astype(int)
    assert (truth == Y).mean() > 0.8


def test_a_teacher_of_labels_has_a_column_for_each(quick, labels):
    X, Y = labels
    model = quick(by_score_of_teacher, max_epochs=60).fit(X, Y, teacher=5.0 - 10.0 * Y)
    assert (model.predict(X) == 1 - Y).mean() > 0.8


def test_the_priors_of_labels_are_the_shares_of_their_positives(quick, labels):
    X, Y = labels
    seen = {}

    @loss("label_priors", task="multilabel")
    def label_priors(label_logits, y, *, priors, class_counts, n_classes):
        seen.update(priors=priors, class_counts=class_counts, n_classes=n_classes)
        return bce(label_logits, y)

    quick(label_priors, max_epochs=1).fit(X, Y)
    np.testing.assert_allclose(seen["priors"], Y.mean(0))
    np.testing.assert_array_equal(seen["class_counts"], Y.sum(0))
    assert seen["n_classes"] == 3


@pytest.mark.parametrize("spec", [by_labels, "asl", "bce"])
def test_a_loss_on_labels_takes_two_classes_as_one_label(quick, two_blobs, spec):
    X, y = two_blobs
    model = quick(spec).fit(X, y)
    assert model.predict_proba(X).shape == (80, 2)
    assert model.decision_function(X).shape == (80,)
    assert model.score(X, y) > 0.9


def test_one_label_is_the_binary_loss(quick, two_blobs):
    X, y = two_blobs
    np.testing.assert_allclose(quick(by_labels).fit(X, y).loss_curve_, quick("bce").fit(X, y).loss_curve_, rtol=1e-9)


# -- what does not fit the targets ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "data", "message"),
    [
        (
            "bce",
            "blobs",
            r"^loss 'bce': Only binary classification is supported\. y has 3 classes; wrap it: sklearn\.multi",
        ),
        ("asl", "blobs", r"^loss 'asl': Only binary classification is supported\. y has 3 classes, not several labels"),
        (
            "cross_entropy",
            "labels",
            "^loss 'cross_entropy' is for one class per row, y has 3 labels per row; choose a los",
        ),
        (
            "supcon",
            "blobs",
            "^loss 'supcon' works on embeddings and makes no prediction; LossClassifier needs a term with",
        ),
    ],
)
def test_a_loss_that_does_not_fit_the_targets_is_refused_with_what_does(quick, request, spec, data, message):
    with pytest.raises(TaskError, match=message):
        quick(spec).fit(*request.getfixturevalue(data))


def test_continuous_targets_are_refused(quick, blobs):
    X, y = blobs
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        quick().fit(X, y + 0.5)
    with pytest.raises(
        ValueError, match=r"y must be \(n,\), or \(n, n_labels\) of zeros and ones; got \(90, 2\) with other values"
    ):
        quick().fit(X, np.stack([y, y], 1))


# -- ordered classes --------------------------------------------------------------------------------------------------


def cumulative(thresholds):
    """Return class probabilities from the scores of y > 0, y > 1, ..."""
    above = torch.sigmoid(thresholds).cummin(1).values
    ones, zeros = torch.ones_like(above[:, :1]), torch.zeros_like(above[:, :1])
    return torch.cat([ones, above], 1) - torch.cat([above, zeros], 1)


@loss("graded", task="ordinal", ordered=True, link=cumulative)
def graded(thresholds, y):
    steps = torch.arange(thresholds.shape[1])
    return bce(thresholds, (y[:, None] > steps).to(thresholds.dtype)).sum(1)


@loss("valued", task="ordinal", ordered=True)
def valued(logits, y, *, class_values):
    return cross_entropy(logits, y, reduction="none") + 0 * class_values[y]


@pytest.fixture
def grades():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    return X, np.digitize(X[:, 0] + 0.2 * rng.normal(size=200), [-0.7, 0.7])


@pytest.mark.parametrize("classes", [[0, 1, 2], [10, 20, 30], [-1.0, 0.0, 2.0]])
def test_numbers_have_their_own_order(quick, grades, classes):
    X, y = grades
    y = np.asarray(classes)[y]
    model = quick(graded).fit(X, y)
    assert model.score(X, y) > 0.85
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1, rtol=1e-9)


def test_names_take_the_order_that_is_given(quick, grades):
    X, y = grades
    names = np.array(["poor", "fair", "excellent"])
    model = quick(graded, class_order=["poor", "fair", "excellent"]).fit(X, names[y])
    assert model.classes_.tolist() == ["excellent", "fair", "poor"]
    assert model.score(X, names[y]) > 0.85
    proba = model.predict_proba(X)
    np.testing.assert_array_equal(model.predict(X), model.classes_[proba.argmax(1)])
    wrong = quick(graded, class_order=["fair", "poor", "excellent"]).fit(X, names[y])
    assert wrong.loss_curve_[-1] > model.loss_curve_[-1]


def test_names_take_the_order_of_their_categories(quick, grades):
    X, y = grades
    order = ["poor", "fair", "excellent"]
    names = np.array(order)[y]
    told = quick(graded, class_order=order).fit(X, names)
    series = pd.Series(pd.Categorical(names, [*order, "perfect"], ordered=True))  # one that y lacks does not matter
    model = quick(graded).fit(X, series)
    assert model.loss_curve_ == told.loss_curve_
    np.testing.assert_array_equal(model.predict_proba(X), told.predict_proba(X))
    assert model.score(X, series) > 0.85
    assert quick(graded, class_order=order[::-1]).fit(X, series).loss_curve_ != told.loss_curve_
    searched = GridSearchCV(quick(graded), {"lr": [0.1]}, cv=2, error_score="raise").fit(X, series)
    assert searched.best_score_ > 0.8
    with pytest.raises(TaskError, match="needs classes with an order"):
        quick(graded).fit(X, pd.Series(pd.Categorical(names)))


def test_one_output_of_a_complete_module_may_be_flat(quick, grades):
    class Flat(nn.Module):
        def __init__(self, n_features, n_outputs):
            super().__init__()
            self.layer = nn.Linear(n_features, n_outputs)

        def forward(self, X):
            return self.layer(X).squeeze(1)

    X, y = grades
    model = quick("cumulative_link", module=Flat).fit(X, y)
    assert model.score(X, y) > 0.6


def test_names_without_an_order_are_refused(quick, grades):
    X, y = grades
    wanted = (
        r"^loss 'graded' needs classes with an order; give class_order=\[lowest, \.\.\., highest\], or an ordered "
        "pandas Categorical as y$"
    )
    with pytest.raises(TaskError, match=wanted):
        quick(graded).fit(X, np.array(["poor", "fair", "excellent"])[y])


@pytest.mark.parametrize("order", [["poor", "fair"], ["poor", "fair", "best"], ["poor", "poor", "fair", "excellent"]])
def test_an_order_holds_each_class_once(quick, grades, order):
    X, y = grades
    with pytest.raises(
        ValueError, match=r"^class_order must hold each class once: \['excellent', 'fair', 'poor'\]; got"
    ):
        quick(graded, class_order=order).fit(X, np.array(["poor", "fair", "excellent"])[y])


def test_labels_have_no_order(quick, labels):
    with pytest.raises(TaskError, match="class_order is for classes; y has several labels per row"):
        quick("bce", class_order=[0, 1]).fit(*labels)


def test_the_values_of_classes_follow_their_order(quick, grades):
    X, y = grades
    seen = {}

    @loss("values_of", task="ordinal", ordered=True)
    def values_of(logits, y, *, class_values):
        seen["values"] = class_values.tolist()
        return cross_entropy(logits, y, reduction="none")

    quick(values_of, max_epochs=1, class_order=[30, 10, 20]).fit(X, np.array([10, 20, 30])[y])
    assert seen["values"] == [30, 10, 20]
    with pytest.raises(MissingFactError, match=r"^loss 'valued' needs 'class_values' \(\(k,\) the classes as numbers"):
        quick(valued, class_order=["b", "a", "c"]).fit(X, np.array(["a", "b", "c"])[y])


@pytest.mark.parametrize("order", [["no", "yes"], ["yes", "no"]])
def test_two_ordered_classes_have_one_threshold(quick, two_blobs, order):
    X, y = two_blobs
    names = np.array(["no", "yes"])[y]
    model = quick(graded, class_order=order).fit(X, names)
    assert model.net_.module_.head.out_features == 1
    assert model.score(X, names) > 0.9
    np.testing.assert_array_equal(model.decision_function(X) > 0, model.predict(X) == "yes")
    np.testing.assert_array_equal(model.predict_proba(X)[:, 1] > 0.5, model.predict(X) == "yes")


# -- several outputs of a class ---------------------------------------------------------------------------------------


def of_nearest(cosines, *, per_class):
    n = len(cosines)
    return torch.softmax(8 * cosines.view(n, -1, per_class).amax(2), dim=1)


@loss("sub_centres", task="multiclass", outputs=lambda *, per_class: per_class, link=of_nearest)
def sub_centres(cosines, y, *, per_class: int = 3):
    return cross_entropy(8 * cosines.view(len(y), -1, per_class).amax(2), y, reduction="none")


@pytest.mark.parametrize("data", ["blobs", "two_blobs"])
def test_a_loss_may_have_several_outputs_for_each_class(quick, request, data):
    X, y = request.getfixturevalue(data)
    k = len(np.unique(y))
    model = quick(Loss(sub_centres, per_class=4), max_epochs=40).fit(X, y)
    assert model.net_.module_.head.weight.shape == (4 * k, 8)
    assert model.score(X, y) > 0.9
    assert model.predict_proba(X).shape == (len(y), k)
    np.testing.assert_array_equal(model.predict(X), model.predict_proba(X).argmax(1))


# -- units ------------------------------------------------------------------------------------------------------------


def reduced(function, facts, *, unit, **declared):
    """Return what a term makes of a function's values."""
    component = loss("toy", task="any", unit=unit, **declared)(function)
    term = Term("toy", choose("loss", component), fit_facts={}, supplied=set(facts), reduction=mean)
    return term(facts.get("output", torch.zeros(3, 2)), facts)


VALUES = torch.tensor([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0], [64.0, 128.0, 256.0]])
WEIGHTS = torch.tensor([0.5, 1.0, 1.5])


def test_pairs_weigh_the_product_of_their_rows():
    got = reduced(lambda logits, y: VALUES, {"y": torch.arange(3), "sample_weight": WEIGHTS}, unit="pair")
    wanted = sum(VALUES[i, j] * WEIGHTS[i] * WEIGHTS[j] for i in range(3) for j in range(3)) / 9
    torch.testing.assert_close(got, wanted)


def test_triplets_weigh_the_product_of_their_rows():
    triplets = torch.tensor([[0, 1, 2], [2, 1, 0], [0, 0, 1]])
    facts = {"y": torch.arange(3), "sample_weight": WEIGHTS, "triplets": triplets}
    got = reduced(lambda logits, y, *, triplets: VALUES[0], facts, unit="triplet")
    wanted = (
        sum(v * WEIGHTS[t[0]] * WEIGHTS[t[1]] * WEIGHTS[t[2]] for v, t in zip(VALUES[0], triplets, strict=True)) / 3
    )
    torch.testing.assert_close(got, wanted)


def test_bags_have_weights_of_their_own():
    facts = {"y": torch.arange(3), "bag": torch.tensor([0, 1, 1]), "n_bags": 2}
    facts |= {"sample_weight": WEIGHTS, "bag_weight": torch.tensor([0.5, 1.5])}
    got = reduced(lambda logits, y, *, bag: VALUES[0, :2], facts, unit="bag")
    torch.testing.assert_close(got, (1.0 * 0.5 + 2.0 * 1.5) / torch.tensor(2.0))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_an_entry_counts_for_the_units_it_stands_for(weights):
    totals, valid = torch.tensor([6.0, 0.0, 5.0]), torch.tensor([3, 0, 1])  # sums over 3, 0 and 1 units
    facts = {"y": torch.arange(3)} | ({} if weights is None else {"sample_weight": weights})
    got = reduced(lambda embeddings, y: (totals, valid), {**facts, "features": torch.zeros(3, 2)}, unit="anchor")
    w = torch.ones(3) if weights is None else weights
    torch.testing.assert_close(got, (2.0 * 3 * w[0] + 5.0 * 1 * w[2]) / 4)


def test_nothing_valid_gives_zero_with_a_gradient():
    output = torch.ones(3, 2, requires_grad=True)

    def nothing(logits, y):
        return logits.sum(1) * 0, torch.zeros(3, dtype=torch.int64)

    got = reduced(nothing, {"y": torch.arange(3), "output": output}, unit="anchor")
    got.backward()
    assert got == 0
    assert torch.equal(output.grad, torch.zeros(3, 2))


def test_several_values_of_a_row_are_averaged_first():
    pairs = VALUES[:, :2]
    got = reduced(lambda logits, y: pairs, {"y": torch.arange(3), "sample_weight": WEIGHTS}, unit="row")
    torch.testing.assert_close(got, (pairs.mean(1) * WEIGHTS).sum() / 3)


def broadcasts(scores, y):
    return torch.nn.functional.softplus(-(2 * y[:, None] - 1) * scores)


def test_a_loss_that_broadcasts_rows_against_rows_is_refused(quick, two_blobs):
    with pytest.raises(TrainingError, match=r"shape \(\d+, \d+\) for \d+ rows, but its unit is 'row'"):
        quick(broadcasts).fit(*two_blobs)


def test_a_regularizer_and_a_loss_on_embeddings_stand_beside_a_head(quick, blobs):
    X, y = blobs

    @loss("small_weights", task="any", unit="batch")
    def small_weights(*, module):
        return module.head.weight.square().sum()

    @loss("short", task="embedding")
    def short(embeddings, y):
        return embeddings.square().sum(1)

    plain = quick("cross_entropy").fit(X, y)
    both = quick(Loss("cross_entropy") + 0.1 * Loss(small_weights) + 0.1 * Loss(short)).fit(X, y)
    assert both.net_.module_.head.weight.norm() < plain.net_.module_.head.weight.norm()
    assert set(both.history_[0]) >= {"train_loss_small_weights", "train_loss_short"}
    assert quick(Loss("cross_entropy") + Loss(small_weights)).fit(X, y, sample_weight=np.arange(90.0)).n_iter_ == 20
