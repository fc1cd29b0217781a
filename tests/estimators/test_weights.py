import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_sample_weight
from torch.testing import assert_close

from sklearnloss import Loss, loss
from sklearnloss.exceptions import TaskError
from sklearnloss.reductions.mean import mean
from sklearnloss.samplers.shuffle import shuffle
from sklearnloss.spec import choose
from sklearnloss.training.batches import Batches
from sklearnloss.training.criterion import Term


@loss("whole", task="multiclass", unit="batch")
def whole(logits, y):
    return torch.nn.functional.cross_entropy(logits, y)


@loss("weighing", task="multiclass", unit="batch")
def weighing(logits, y, *, sample_weight=None):
    values = torch.nn.functional.cross_entropy(logits, y, reduction="none")
    return values.mean() if sample_weight is None else (values * sample_weight).mean()


@loss("wild", task="multiclass")
def wild(logits, y):
    """Infinite, with an infinite gradient, for rows of class 2."""
    return torch.nn.functional.cross_entropy(logits, y, reduction="none") / (y != 2).to(logits.dtype)


@pytest.fixture
def counts():
    return np.random.default_rng(0).integers(0, 4, size=90)


@pytest.mark.parametrize("name", ["cross_entropy", "ldr", weighing])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_weight_is_a_number_of_copies_in_a_full_batch(quick, blobs, counts, name, optimizer):
    X, y = blobs
    params = {"loss": name, "optimizer": optimizer, "batch_size": 1000}
    weighted = quick(**params).fit(X, y, sample_weight=counts)
    repeated = quick(**params).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-6)


def test_a_weight_is_a_number_of_copies_for_several_terms(quick, blobs, counts):
    X, y = blobs
    total = Loss("cross_entropy") + 0.5 * Loss("ldr")
    weighted = quick(loss=total, batch_size=1000).fit(X, y, sample_weight=counts)
    repeated = quick(loss=total, batch_size=1000).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize("batch_size", [16, 1000])
def test_rows_of_weight_zero_might_as_well_be_gone(quick, blobs, batch_size):
    X, y = blobs
    keep = np.random.default_rng(0).uniform(size=90) > 0.4
    spoiled = np.where(keep[:, None], X, 1e100)
    weighted = quick(batch_size=batch_size).fit(spoiled, y, sample_weight=keep.astype(float))
    without = quick(batch_size=batch_size).fit(X[keep], y[keep])
    np.testing.assert_allclose(weighted.predict_proba(X), without.predict_proba(X), rtol=1e-6)


def test_only_the_proportions_of_weights_matter(quick, blobs, counts):
    X, y = blobs
    once, often = (quick(batch_size=16).fit(X, y, sample_weight=c * counts) for c in (1, 1000.0))
    np.testing.assert_allclose(once.predict_proba(X), often.predict_proba(X), rtol=1e-9)


def test_an_infinite_value_of_a_row_without_weight_spoils_nothing(quick, blobs):
    X, y = blobs
    model = quick(loss=wild).fit(X, y, sample_weight=(y != 2).astype(float))
    assert np.isfinite(model.predict_proba(X)).all()
    assert model.score(X[y != 2], y[y != 2]) > 0.9


def test_no_batch_is_made_of_rows_without_weight(quick, blobs):
    X, y = blobs
    weights = np.zeros(90)
    weights[:3] = 1, 2, 3
    model = quick(batch_size=4).fit(X, y, sample_weight=weights)
    assert [row["train_batch_count"] for row in model.net_.history] == [1] * 20
    assert np.isfinite(model.loss_curve_).all()


def test_weights_that_are_all_zero_are_refused(quick, blobs):
    X, y = blobs
    with pytest.raises(ValueError, match="must contain at least one non-zero number"):
        quick().fit(X, y, sample_weight=np.zeros(90))
    with pytest.raises(ValueError, match="zero for every row; there is nothing to learn from"):
        quick(class_weight={0: 0.0, 1: 0.0, 2: 1.0}).fit(X, y, sample_weight=(y != 2).astype(float))


def test_negative_weights_are_refused(quick, blobs):
    X, y = blobs
    with pytest.raises(ValueError, match="Negative values"):
        quick().fit(X, y, sample_weight=np.where(y == 0, -1.0, 1.0))


@pytest.mark.parametrize("class_weight", ["balanced", {0: 1.0, 1: 3.0, 2: 0.5}])
def test_class_weight_is_multiplied_into_the_weights_of_rows(quick, overlapping, counts, class_weight):
    X, y = overlapping[0][:90], overlapping[1][:90]
    by_class = compute_sample_weight(class_weight, y)
    for given in (None, counts):
        model = quick(class_weight=class_weight).fit(X, y, sample_weight=given)
        direct = quick().fit(X, y, sample_weight=by_class if given is None else by_class * given)
        np.testing.assert_array_equal(model.predict_proba(X), direct.predict_proba(X))


def test_a_class_of_more_weight_is_predicted_more_often(quick, overlapping):
    X, y = overlapping
    plain, heavy = quick().fit(X, y), quick(class_weight={0: 10.0, 1: 1.0, 2: 1.0}).fit(X, y)
    assert (heavy.predict(X) == 0).sum() > (plain.predict(X) == 0).sum()


@pytest.mark.parametrize("params", [{}, {"class_weight": "balanced"}])
def test_a_loss_of_the_whole_batch_that_takes_no_weights_refuses_them(quick, blobs, params):
    X, y = blobs
    weights = None if params else np.ones(90)
    wanted = (
        r"^loss 'whole' looks at the whole batch and does not take sample_weight; leave the weights out \(class_weight "
        r"too\), or choose a loss whose unit is 'row': sklearnloss info$"
    )
    with pytest.raises(TaskError, match=wanted):
        quick(loss=whole, **params).fit(X, y, sample_weight=weights)
    with pytest.raises(TaskError, match="loss 'whole' looks at the whole batch"):
        quick(loss=Loss("cross_entropy") + Loss(whole), **params).fit(X, y, sample_weight=weights)


def test_weights_are_refused_when_they_first_arrive_at_a_later_call_too(quick, blobs):
    X, y = blobs
    model = quick(loss=whole).partial_fit(X, y)
    with pytest.raises(TaskError, match="loss 'whole' looks at the whole batch"):
        model.partial_fit(X, y, sample_weight=np.ones(90))


def test_a_loss_of_the_whole_batch_takes_the_weights_it_names(quick, blobs, counts):
    X, y = blobs
    direct = quick(batch_size=16).fit(X, y, sample_weight=counts)
    named = quick(loss=weighing, batch_size=16).fit(X, y, sample_weight=counts)
    np.testing.assert_allclose(named.predict_proba(X), direct.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("scheme", ["random", "one heavy row", "mostly zero"])
def test_the_gradient_of_a_batch_is_that_of_the_training_set_on_average(scheme):
    rng = np.random.default_rng(0)
    n, batch_size = 60, 10
    weights = {
        "random": rng.exponential(size=n),
        "one heavy row": np.where(np.arange(n) == 7, 100.0, 1.0),
        "mostly zero": np.where(rng.uniform(size=n) < 0.8, 0.0, 1.0),
    }[scheme]
    weights = torch.from_numpy(weights / weights.mean())
    X, y = torch.from_numpy(rng.normal(size=(n, 4))), torch.from_numpy(rng.integers(3, size=n))
    matrix = torch.zeros(4, 3, dtype=torch.float64, requires_grad=True)
    term = Term("t", choose("loss", "cross_entropy"), fit_facts={}, supplied={"y"}, reduction=mean)
    batches = Batches(X, y, rows={"sample_weight": weights}, sampler=shuffle, batch_size=batch_size, seed=0)

    def gradient(batch):
        return torch.autograd.grad(term(batch["X"] @ matrix, batch), matrix)[0]

    over_an_epoch = torch.stack([gradient(batch) for batch in batches]).mean(0)
    # the formula, not the function: softmax less the one-hot target, weighted, over the sum of all weights
    error = torch.full((n, 3), 1 / 3, dtype=torch.float64) - torch.eye(3, dtype=torch.float64)[y]
    whole_set = X.T @ (weights[:, None] * error) / weights.sum()
    assert_close(over_an_epoch, whole_set)


def test_early_stopping_and_calibration_work_with_weights(quick, overlapping):
    X, y = overlapping
    weights = np.random.default_rng(0).uniform(size=300)
    model = quick(early_stopping=True, calibrate="sigmoid", validation_fraction=0.2).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1)


def test_priors_count_the_weights_and_class_counts_the_rows(quick, blobs, counts):
    X, y = blobs
    seen = {}

    @loss("spy", task="multiclass")
    def spy(logits, y, *, priors, class_counts, sample_weight=None):
        seen.update(priors=priors, class_counts=class_counts, sample_weight=sample_weight)
        return logits.sum(1)

    quick(loss=spy, max_epochs=1, batch_size=1000).fit(X, y, sample_weight=counts + 1)
    np.testing.assert_allclose(seen["priors"], np.bincount(y, weights=counts + 1) / (counts + 1).sum())
    np.testing.assert_array_equal(seen["class_counts"], np.bincount(y))
    assert_close(seen["sample_weight"].mean(), torch.tensor(1.0, dtype=torch.float64))


@pytest.mark.parametrize("wild", [1e200, 1e30])
def test_a_wild_row_of_weight_zero_spoils_no_moment(quick, blobs, wild):
    X, y = (part.copy() for part in blobs)
    X = X.astype(np.float32 if wild == 1e30 else np.float64)
    tame = quick().fit(X, y, sample_weight=np.arange(90) > 0).predict_proba(X[1:])
    X[0] = wild
    np.testing.assert_array_equal(quick().fit(X, y, sample_weight=np.arange(90) > 0).predict_proba(X[1:]), tame)
