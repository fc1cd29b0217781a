"""What all ways to doubt labels must do, and what each of them computes."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.testing import assert_close

from sklearnloss import LossClassifier, MetricEmbedder
from sklearnloss.exceptions import DataError, TaskError
from sklearnloss.noise.aum import AreaUnderMargin
from sklearnloss.noise.confident_learning import ConfidentLearning, confident_classes
from sklearnloss.noise.cv_margin import CrossValidatedMargin
from sklearnloss.noise.forgetting import Forgetting
from sklearnloss.noise.knn import NeighborDisagreement
from sklearnloss.noise.loss_mixture import LossMixture, higher_group
from sklearnloss.noise.recorder import recorded
from sklearnloss.training.recorder import MarginRecorder

ALL = [AreaUnderMargin, ConfidentLearning, CrossValidatedMargin, Forgetting, NeighborDisagreement, LossMixture]
LINEAR = make_pipeline(StandardScaler(with_mean=False), LogisticRegression(max_iter=1000))


def flipped(share=0.2, seed=0, n=900):
    X, y = load_digits(return_X_y=True)
    X, y = X[:n], y[:n]
    rng = np.random.default_rng(seed)
    wrong = rng.random(n) < share
    return X, np.where(wrong, (y + rng.integers(1, 10, n)) % 10, y), wrong


def quick(cls, **params):
    """Return a judge that is fast; a linear model does for those that fit one a fold."""
    return cls(LINEAR, **params) if cls in (ConfidentLearning, CrossValidatedMargin) else cls(**params)


# -- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", ALL)
def test_wrong_labels_come_first(cls):
    X, y, wrong = flipped()
    judge = quick(cls, random_state=0).fit(X, y)
    assert roc_auc_score(wrong, judge.scores_) > 0.93
    assert wrong[judge.noisy_mask_].mean() > 0.6
    assert judge.noisy_mask_[wrong].mean() > 0.7
    if judge.suggested_ is not None:
        truth = load_digits(return_X_y=True)[1][:900]
        assert (judge.suggested_[wrong] == truth[wrong]).mean() > 0.8


@pytest.mark.parametrize("cls", ALL)
def test_names_of_classes_and_form_of_the_table_do_not_matter(cls):
    X, y = load_iris(return_X_y=True)
    y[7] = 2
    plain = quick(cls, random_state=0).fit(X, y)
    named = quick(cls, random_state=0).fit(pd.DataFrame(X), np.array(["c", "a", "b"])[y])  # in another order
    assert named.scores_.shape == (150,)
    assert named.scores_.argmax() == plain.scores_.argmax() == 7
    assert sorted(named.classes_.tolist()) == ["a", "b", "c"]
    again = quick(cls, random_state=0).fit(sparse.csr_matrix(X), y)
    np.testing.assert_allclose(again.scores_, plain.scores_, atol=5e-3)  # as far as the solver goes


@pytest.mark.parametrize("cls", ALL)
def test_the_same_seed_gives_the_same_scores(cls):
    X, y = load_iris(return_X_y=True)
    first, again = (clone(quick(cls, random_state=3)).fit(X, y).scores_ for _ in range(2))
    assert np.array_equal(first, again)


@pytest.mark.parametrize("cls", ALL)
def test_one_class_is_refused(cls):
    with pytest.raises(DataError, match=f"{cls.__name__} compares classes, but there is one class: all labels are 1"):
        cls().fit(np.zeros((5, 2)), np.ones(5, dtype=int))


@pytest.mark.parametrize("cls", [ConfidentLearning, CrossValidatedMargin])
def test_a_class_with_fewer_rows_than_folds_is_refused(cls):
    X, y = load_iris(return_X_y=True)
    with pytest.raises(DataError, match=r"cv=5 folds, but a class has 3 row\(s\) only"):
        cls(LINEAR).fit(X[:103], y[:103])


@pytest.mark.parametrize("cls", [ConfidentLearning, CrossValidatedMargin, LossMixture])
def test_a_model_without_probabilities_is_refused(cls):
    X, y = load_iris(return_X_y=True)
    with pytest.raises((TaskError, ValueError), match=r"predict_proba|probabilities, which RidgeClassifier"):
        cls(RidgeClassifier()).fit(X, y)


# -- aum --------------------------------------------------------------------------------------------------------------


def test_a_recorder_keeps_the_margins_that_the_entry_gives():
    recorder = MarginRecorder(n_samples=3)
    y = torch.tensor([0, 0])
    recorder(torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0]]), y, index=torch.tensor([0, 2]))
    assert recorder.total.tolist() == [1, 0, -3]
    recorder.eval()
    recorder(torch.tensor([[9.0, 0.0, 0.0]]), y[:1], index=torch.tensor([1]))
    assert recorder.count.tolist() == [1, 0, 1]


@pytest.mark.parametrize("size", [1, 2, 3, 12])
def test_the_mean_of_the_margins_does_not_depend_on_the_batches(size):
    generator = torch.Generator().manual_seed(0)
    logits, y = torch.randn(4, 12, 5, generator=generator), torch.arange(12) % 5
    recorder = MarginRecorder(n_samples=12)
    for epoch in logits:
        order = torch.randperm(12, generator=generator)
        for rows in order.split(size):  # a batch of one row too
            recorder(epoch[rows], y[rows], index=rows)
    others = logits.clone()
    others[:, torch.arange(12), y] = -torch.inf
    margin = logits[:, torch.arange(12), y] - others.amax(2)
    assert_close(recorder.total / recorder.count, margin.double().mean(0))


def test_an_event_of_forgetting_is_a_wrong_answer_after_a_right_one():
    recorder = MarginRecorder(n_samples=1)
    for right in (0, 1, 0, 0, 1, 1, 0):
        logits = torch.tensor([[1.0, 0.0]]) if right else torch.tensor([[0.0, 1.0]])
        recorder(logits, torch.tensor([0]), index=torch.tensor([0]))
    assert recorder.forgotten.item() == 2
    assert recorder.learned.item()


def test_records_every_row_once_an_epoch_and_trains_as_without():
    X, y = load_iris(return_X_y=True)
    net = LossClassifier(max_epochs=3, batch_size=37, random_state=0)
    recorder = recorded(net, X, y)
    assert recorder.count.tolist() == [3] * 150
    bare = recorded(net.set_params(max_epochs=1, batch_size=150), X, y)
    start = clone(net).set_params(lr=1e-30).fit(X, y).decision_function(X)  # as it was before the first step
    others = start.copy()
    others[np.arange(150), y] = -np.inf
    np.testing.assert_allclose(bare.total, start[np.arange(150), y] - others.max(1), atol=1e-6)


def test_the_false_sets_are_disjoint_and_of_the_right_size():
    X, y, _ = flipped()
    judge = AreaUnderMargin(LossClassifier(max_epochs=1), random_state=0).fit(X, y)
    counts = np.bincount(judge.fake_ + 1)
    assert counts.tolist() == [900 - 2 * 82, 82, 82]  # 900 / 11


def test_a_percentile_of_a_hundred_doubts_most():
    X, y, _ = flipped()
    masks = [
        AreaUnderMargin(LossClassifier(max_epochs=3, random_state=0), percentile=p, random_state=0)
        .fit(X, y)
        .noisy_mask_
        for p in (50, 99, 100)
    ]
    assert masks[0].sum() < masks[1].sum() <= masks[2].sum()
    assert (masks[2] >= masks[1]).all()


def test_margins_tell_more_than_the_last_loss_of_a_network_that_knows_all_by_heart():
    X, y, wrong = flipped()
    X, y, wrong = X[:500], y[:500], wrong[:500]
    net = LossClassifier(max_epochs=80, batch_size=64, random_state=0)
    aum = AreaUnderMargin(net, random_state=0).fit(X, y)
    proba = net.fit(X, y).predict_proba(X)[np.arange(500), y]
    assert roc_auc_score(wrong, aum.scores_) > roc_auc_score(wrong, -proba) + 0.02


@pytest.mark.parametrize("cls", [AreaUnderMargin, Forgetting])
def test_only_a_network_can_be_watched(cls):
    X, y = load_iris(return_X_y=True)
    with pytest.raises(TaskError, match="watches a network while it trains, which LogisticRegression does not show"):
        cls(LogisticRegression()).fit(X, y)
    with pytest.raises(TaskError, match="differences of logits, which loss 'arcface' does not look at"):
        cls(LossClassifier("arcface", max_epochs=1)).fit(X, y)


def test_the_loss_that_trains_is_that_of_the_user():
    X, y, _ = flipped(n=300)
    plain, other = (
        AreaUnderMargin(LossClassifier(loss, max_epochs=3, random_state=0), random_state=0).fit(X, y).scores_
        for loss in ("cross_entropy", "focal")
    )
    assert not np.allclose(plain, other)


# -- confident learning -----------------------------------------------------------------------------------------------


def test_confident_classes_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    proba, codes = rng.dirichlet(np.ones(4), 200), rng.integers(4, size=200)
    confident, bars = confident_classes(proba, codes)
    for c in range(4):
        assert bars[c] == pytest.approx(np.mean([p[c] for p, y in zip(proba, codes, strict=True) if y == c]))
    for row, found in zip(proba, confident, strict=True):
        met = [c for c in range(4) if row[c] >= bars[c]]
        assert found == (max(met, key=lambda c: row[c]) if met else -1)


def test_rows_off_the_diagonal_of_the_confident_joint_are_doubted():
    X, y, _ = flipped(n=400)
    judge = ConfidentLearning(LINEAR, random_state=0).fit(X, y)
    joint = judge.confident_joint_
    assert judge.noisy_mask_.sum() == joint.sum() - np.trace(joint)
    assert (judge.suggested_[judge.noisy_mask_] != y[judge.noisy_mask_]).all()


def test_scores_are_of_models_that_did_not_see_the_row():
    X, y, _ = flipped(n=400)
    folds = StratifiedKFold(4, shuffle=True, random_state=1)
    proba = cross_val_predict(LINEAR, X, y, cv=folds, method="predict_proba")
    confident = ConfidentLearning(LINEAR, cv=folds).fit(X, y)
    np.testing.assert_allclose(confident.scores_, 1 - proba[np.arange(400), y])
    margin = CrossValidatedMargin(LINEAR, cv=folds, threshold=0.0).fit(X, y)
    assert np.array_equal(margin.noisy_mask_, proba.argmax(1) != y)
    assert CrossValidatedMargin(LINEAR, cv=folds, threshold=0.5).fit(X, y).noisy_mask_.sum() < margin.noisy_mask_.sum()


# -- neighbors and mixtures -------------------------------------------------------------------------------------------


def test_neighbors_are_counted_as_scikit_learn_counts_them():
    X, y, _ = flipped(n=300)
    judge = NeighborDisagreement(n_neighbors=7).fit(X, y)
    scaled = StandardScaler().fit_transform(X)
    for row in range(0, 300, 17):
        rest = np.delete(np.arange(300), row)
        votes = KNeighborsClassifier(7).fit(scaled[rest], y[rest]).predict_proba(scaled[[row]])[0]
        present = np.unique(y[rest])
        assert judge.scores_[row] == pytest.approx(1 - votes[present == y[row]].sum())


def test_neighbors_of_embeddings_are_those_of_the_fitted_network():
    X, y, wrong = flipped(n=500)
    net = MetricEmbedder("supcon", embedding_dim=8, max_epochs=5, random_state=0)
    judge = NeighborDisagreement(net).fit(X, y)
    assert roc_auc_score(wrong, judge.scores_) > 0.8
    assert not np.array_equal(judge.scores_, NeighborDisagreement().fit(X, y).scores_)


def test_too_few_rows_for_the_neighbors_are_refused():
    with pytest.raises(DataError, match="compares 10 neighbors, but there are only 5 other rows"):
        NeighborDisagreement().fit(np.arange(6.0)[:, None], [0, 1, 0, 1, 0, 1])


def test_the_higher_group_is_that_of_the_high_losses_at_both_ends():
    rng = np.random.default_rng(0)
    losses = np.concatenate([rng.normal(0.1, 0.02, 300), rng.normal(2.0, 1.0, 60)])
    p = higher_group(losses, 0)
    order = np.argsort(losses)
    assert (np.diff(p[order]) >= -1e-9).all()  # a wide group does not claim the lowest losses
    assert p[:300].max() < 0.5
    assert (p[300:] > 0.5).mean() > 0.9
    assert higher_group(np.ones(5), 0).tolist() == [0] * 5


def test_a_network_in_single_precision_is_watched_too():
    X, y = load_iris(return_X_y=True)
    net = LossClassifier(max_epochs=2, random_state=0)
    single, double = (recorded(net, rows, y).total for rows in (X.astype(np.float32), X))
    assert_close(single.double(), double.double(), atol=1e-3, rtol=1e-3)
