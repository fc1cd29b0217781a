import re

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, make_classification, make_multilabel_classification
from sklearn.preprocessing import StandardScaler

from sklearnloss import Loss, LossClassifier, components, register, suggest_losses
from sklearnloss.comparison import suggestions
from sklearnloss.comparison.probe import ClassProbe, LabelProbe, probe_classes, probe_labels
from sklearnloss.comparison.suggestions import Suggestion
from sklearnloss.demo import flip
from sklearnloss.exceptions import DataError, TaskError
from sklearnloss.registry import registry

FORGIVING = {"gce", "ldr", "mae_proba"}


def names(found):
    return [suggestion.loss for suggestion in found]


def reason_of(found, loss):
    (reason,) = (suggestion.reason for suggestion in found if suggestion.loss == loss)
    return reason


def blobs(counts, seed=0, d=5, distance=3.0):
    """Rows around corners of a cube, so many for each class."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(counts)), counts)
    centres = rng.normal(size=(len(counts), d)) * distance
    return centres[y] + rng.normal(size=(len(y), d)), y


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_wrong_labels_in_digits_are_noticed_and_clean_ones_are_not_called_wrong(seed):
    X, y = load_digits(return_X_y=True)
    clean = suggest_losses(X, y, random_state=seed)
    noisy = suggest_losses(X, flip(y, 0.2, np.random.default_rng(seed)), random_state=seed)
    assert not FORGIVING & set(names(clean))
    assert not any("another label" in suggestion.reason for suggestion in clean)
    assert names(noisy)[:3] == ["cross_entropy", "gce", "ldr"]
    assert FORGIVING | {"label_smoothing"} <= set(names(noisy))
    share = int(re.match(r"(\d+)% of the 359 rows", reason_of(noisy, "gce"))[1])
    assert 14 <= share <= 26  # it measures the share that was flipped


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_classes_that_overlap_are_not_taken_for_wrong_labels(seed):
    X, y = blobs([1000, 1000], seed=seed, distance=0.0)
    X[:, 0] += 1.7 * y
    assert 0.17 < 1 - probe_classes(X, y).right.mean() < 0.23  # of the best possible model too
    assert not FORGIVING & set(names(suggest_losses(X, y)))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_labels_without_any_relation_to_the_columns_are_not_called_wrong(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(600, 4))
    assert not FORGIVING & set(names(suggest_losses(X, rng.integers(5, size=600), random_state=seed)))
    assert not FORGIVING & set(names(suggest_losses(X, rng.integers(8, size=600) == 0, random_state=seed)))


def test_rows_that_equal_others_of_another_label_are_a_reason():
    X, y = blobs([100, 100])
    X[:8], y[:8] = X[100], [0, 0, 0, 1, 1, 1, 1, 1]
    X, y = np.vstack([X, X[100:103]]), np.r_[y, 0, 0, 0]
    found = suggest_losses(X, y)
    assert "6 of 203 rows have another label than most of those with the same features" in reason_of(found, "gce")


def test_the_share_of_the_rarest_class_is_a_reason():
    X, y = blobs([950, 50])
    found = suggest_losses(X, y)
    assert names(found)[:5] == ["cross_entropy", "logit_adjusted", "aucm", "ldam", "anyloss"]
    assert found[0].reason == "the one to beat; always answering '0' would be right in 95% of the rows"
    assert reason_of(found, "logit_adjusted").startswith("class '1' has 5.0% of the rows, 1 for 19 of '0'; ")
    assert "class '1' has 50 rows and '0' 950; the rare one must lead by a margin 2.1 times as wide" in reason_of(
        found, "ldam"
    )
    assert "always answering '0' is right in 95.0% of the rows and has an F1 of zero" in reason_of(found, "anyloss")


def test_a_positive_class_that_is_frequent_is_no_reason_for_f1():
    X, y = blobs([50, 950])
    found = names(suggest_losses(X, y))
    assert "anyloss" not in found
    assert "aucm" in found


def test_losses_for_two_classes_are_not_suggested_for_three():
    X, y = blobs([900, 100, 20])
    found = names(suggest_losses(X, y))
    assert {"logit_adjusted", "ldam"} <= set(found)
    assert not {"aucm", "anyloss", "ensloss"} & set(found)


def test_equal_classes_are_no_reason_for_losses_against_imbalance():
    X, y = blobs([100, 100, 100])
    assert not {"logit_adjusted", "ldam", "aucm", "anyloss", "focal"} & set(names(suggest_losses(X, y)))


def test_easy_rows_speak_for_focal_where_a_class_is_rare_and_for_encouraging_where_none_is():
    X, y = blobs([950, 50], distance=5.0)
    assert "focal" in names(suggest_losses(X, y))
    X, y = blobs([100, 100], distance=5.0)
    assert "98% of 200 rows 0.9 or more" in reason_of(suggest_losses(X, y), "encouraging")
    X, y = blobs([100, 100], distance=0.2)
    assert "encouraging" not in names(suggest_losses(X, y))


def test_many_classes_are_a_reason():
    X, y = blobs([10] * 26)
    found = suggest_losses(X, y)
    assert "26 classes; lam says how many of the 25 competitors" in reason_of(found, "ldr")
    assert "26 classes; 25 separate duels" in reason_of(found, "one_vs_each")
    assert "arcface" not in names(found)
    X, y = blobs([4] * 120)
    assert "120 classes of 4 rows" in reason_of(suggest_losses(X, y), "arcface")


def test_few_rows_for_many_columns_are_a_reason():
    X, y = load_breast_cancer(return_X_y=True)
    found = suggest_losses(X[:200], y[:200])
    assert reason_of(found, "ensloss").startswith("200 rows for 30 columns; ")
    assert "200 rows for 30 columns; no score has to grow without end" in reason_of(found, "label_smoothing")
    assert "ensloss" not in names(suggest_losses(X[:, :4], y))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_model_surer_than_right_is_a_reason(seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=300)
    X = np.c_[y[:, None] + rng.normal(size=(300, 1)), rng.normal(size=(300, 25))]
    found = suggest_losses(X, y, random_state=seed)
    sure, right = map(
        int, re.search(r"linear model is (\d+)% sure and (\d+)% right", reason_of(found, "label_smoothing")).groups()
    )
    assert sure >= right + 4


def labels(seed, n_labels, per_row):
    X, Y = make_multilabel_classification(800, 12, n_classes=n_labels, n_labels=per_row, random_state=seed)
    return StandardScaler().fit_transform(X), Y


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_several_labels_per_row_and_easy_negatives_are_reasons(seed):
    X, Y = labels(seed, 8, 3)
    found = suggest_losses(X, Y, random_state=seed)
    assert found[0] == Suggestion("bce", {}, f"the one to beat; 8 labels, {Y.sum(1).mean():.1f} of them per row")
    assert f"a row has {Y.sum(1).mean():.1f} of 8 labels" in reason_of(found, "decoupled_softmax")
    centres = np.random.default_rng(seed).normal(size=(10, 6)) * 4
    of = np.random.default_rng(seed).integers(10, size=600)
    found = suggest_losses(centres[of] + np.random.default_rng(seed).normal(size=(600, 6)), np.eye(10, dtype=int)[of])
    assert "90% of the labels are zeros, and an out-of-fold linear model gives" in reason_of(found, "asl")
    assert "decoupled_softmax" not in names(found)


def test_labels_that_are_hard_or_frequent_are_no_reason_for_asl():
    rng = np.random.default_rng(0)
    assert names(suggest_losses(rng.normal(size=(300, 4)), (rng.random((300, 4)) < 0.25).astype(int))) == ["bce"]
    assert "asl" not in names(suggest_losses(rng.normal(size=(300, 4)), (rng.random((300, 4)) < 0.6).astype(int)))


DATA = {
    "noisy": lambda: (load_digits().data[:600], flip(load_digits().target[:600], 0.3, np.random.default_rng(0))),
    "imbalanced": lambda: blobs([450, 30]),
    "many classes": lambda: blobs([5] * 110),
    "few rows": lambda: make_classification(60, 20, random_state=0),
    "easy": lambda: blobs([60, 60, 60], distance=6.0),
    "labels": lambda: labels(0, 8, 3),
}


@pytest.mark.parametrize("what", DATA)
def test_every_suggestion_can_be_fitted_as_it_stands(what):
    X, y = DATA[what]()
    found = suggest_losses(X, y)
    assert len(found) > 1
    for suggestion in found:
        model = LossClassifier(suggestion.spec, max_epochs=1, random_state=0).fit(X, y)
        assert model.predict(X[:3]).shape == np.asarray(y)[:3].shape


def test_every_loss_that_a_rule_names_is_there_and_has_the_parameters():
    there = {component.name: {p.name for p in component.parameters} for component in components("loss")}
    found = [suggestion for make in DATA.values() for suggestion in suggest_losses(*make())]
    assert {"gce", "ldr", "mae_proba", "label_smoothing", "logit_adjusted", "aucm", "ldam", "anyloss", "focal"} <= {
        s.loss for s in found
    }
    assert all(suggestion.params.keys() <= there[suggestion.loss] for suggestion in found)


def test_a_loss_that_is_not_registered_is_not_suggested(monkeypatch):
    X, y = blobs([450, 30])
    kept = [component for component in components("loss") if component.name != "logit_adjusted"]
    monkeypatch.setattr(suggestions, "components", lambda kind: kept)
    assert names(suggest_losses(X, y))[:2] == ["cross_entropy", "aucm"]


def test_a_loss_that_shares_its_name_with_a_plugin_is_suggested_in_full(monkeypatch):
    from sklearnloss import loss
    from sklearnloss.typing import Labels, Logits, PerRow

    monkeypatch.setattr(
        registry, "_names", type(registry._names)(list, {k: list(v) for k, v in registry._names.items()})
    )

    @register
    @loss("aucm", task="multiclass")
    def other(logits: Logits, y: Labels) -> PerRow:
        """Return zero."""
        return logits.sum(1) * 0

    X, y = blobs([450, 30])
    (suggestion,) = (s for s in suggest_losses(X, y) if s.loss.endswith("aucm"))
    assert suggestion.loss == "core:aucm"
    LossClassifier(suggestion.spec, max_epochs=1).fit(X, y)


def test_a_suggestion_reads_well():
    assert str(Suggestion("gce", {"q": 0.7}, "a reason")) == "gce(q=0.7): a reason"
    assert str(Suggestion("gce", {}, "a reason")) == "gce: a reason"
    assert repr(Suggestion("gce", {"q": 0.7}, "a reason").spec) == repr(Loss("gce", q=0.7))


def test_the_same_seed_gives_the_same_suggestions():
    X, y = load_digits(return_X_y=True)
    y = flip(y, 0.1, np.random.default_rng(0))
    assert suggest_losses(X, y, random_state=1) == suggest_losses(X, y, random_state=1)
    assert names(suggest_losses(X, y, random_state=np.random.RandomState(3)))[1] == "gce"


def test_a_table_with_texts_and_gaps_and_a_sparse_matrix_will_do():
    rng = np.random.default_rng(0)
    y = rng.choice(["no", "yes"], 400, p=[0.9, 0.1])
    frame = pd.DataFrame({"a": rng.normal(size=400), "b": rng.choice(["u", None], 400), "c": pd.NaT, "d": [None] * 400})
    assert "logit_adjusted" in names(suggest_losses(frame, y))
    assert "logit_adjusted" in names(suggest_losses(sparse.random(400, 50, 0.1, format="csr", random_state=0), y))
    assert "logit_adjusted" in names(suggest_losses(rng.normal(size=(400, 2)).tolist(), y.tolist()))


def test_few_rows_are_not_looked_at_by_a_model():
    X, y = blobs([20, 20])
    assert probe_classes(X, y) is None
    assert names(suggest_losses(X, y)) == ["cross_entropy", "ensloss", "label_smoothing"]
    assert probe_labels(X, np.eye(2, dtype=int)[y]) is None


def test_classes_too_rare_for_the_folds_are_left_to_others():
    X, y = blobs([100, 100, 2])
    probe = probe_classes(X, y)
    assert probe.proba.shape == (200, 2)
    assert "ldam" in names(suggest_losses(X, y))


def test_a_large_table_is_looked_at_in_two_thousand_rows_and_a_wide_one_in_fewer():
    rng = np.random.default_rng(0)
    assert probe_classes(rng.normal(size=(5000, 3)), rng.integers(2, size=5000)).rows == 2000
    assert probe_classes(rng.normal(size=(400, 20_000)), rng.integers(2, size=400)).rows == 200
    many = probe_labels(rng.normal(size=(300, 3)), rng.integers(2, size=(300, 30)))
    assert many.proba.shape == (300, 20)


def test_the_figures_of_a_probe_are_those_counted_by_hand():
    proba = np.array([[0.99, 0.01], [0.95, 0.05], [0.1, 0.9], [0.6, 0.4], [0.55, 0.45], [0.3, 0.7]])
    proba = np.vstack([proba, np.full((4, 2), 0.5)])
    probe = ClassProbe(proba, np.array([0, 1, 1, 1, 0, 0, 0, 0, 0, 0]))
    assert probe.right.tolist() == [True, False, True, False, True, False, True, True, True, True]
    assert probe.sure_and_wrong() == (1, 2)  # of the two surest rows
    assert probe.easy_share() == 0.2
    assert LabelProbe(np.array([[0.01, 0.5], [0.04, 0.9]]), np.array([[0, 0], [1, 0]])).easy_negative_share() == 1 / 3


def test_the_lower_bound_is_that_of_wilson():
    assert suggestions._lower_bound(0, 100) == pytest.approx(0, abs=1e-12)
    low = suggestions._lower_bound(20, 100)
    assert (0.2 - low) == pytest.approx(
        1.645 * np.sqrt(low * (1 - low) / 100)
    )  # the share is its upper limit from there


def test_a_task_that_is_not_that_of_the_target_is_refused():
    with pytest.raises(TaskError, match=r"^task='multilabel', but y is binary; leave task out, or give another y$"):
        suggest_losses(np.eye(4), [0, 1, 0, 1], task="multilabel")
    with pytest.raises(DataError, match=r"^the target looks continuous"):
        suggest_losses(np.eye(4), [0.1, 1.5, 0.3, 1])
    assert suggest_losses(np.eye(4), [0, 1, 0, 1], task="binary")[0].loss == "cross_entropy"
