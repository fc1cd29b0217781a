import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.multiclass.action_aware import action_aware
from sklearnloss.losses.multiclass.class_balanced import class_balanced

COUNTS = torch.tensor([100.0, 50.0, 10.0], dtype=torch.float64)


def weights_at(epoch, rows, counts=COUNTS, **params):
    """Return the weight of each class, seen in the loss."""
    return action_aware(*rows, class_counts=counts, epoch=epoch, **params) / F.cross_entropy(*rows, reduction="none")


@pytest.mark.parametrize("epoch", [20, 21, 39, 1000])
def test_gives_the_worked_weights_from_the_first_weighted_epoch_on_and_for_ever(three_rows, epoch):
    weights = weights_at(epoch, three_rows)
    wanted = torch.tensor([0.219252, 0.499060, 2.281688], dtype=torch.float64)
    assert_close(3 * weights / weights.sum(), wanted, atol=1e-6, rtol=0)
    assert_close((COUNTS * weights).sum(), COUNTS.sum())


@pytest.mark.parametrize("epoch", [0, 1, 19])
def test_is_cross_entropy_before(three_rows, epoch):
    assert_close(
        action_aware(*three_rows, class_counts=COUNTS, epoch=epoch), F.cross_entropy(*three_rows, reduction="none")
    )


@pytest.mark.parametrize("start", [0, 3])
def test_the_weights_set_in_when_told(three_rows, start):
    late = weights_at(start, three_rows, start=start)
    assert late[2] > 4 * late[0]
    assert_close(late, weights_at(1000, three_rows))


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.99])
def test_equal_betas_give_the_class_balanced_loss(three_rows, beta):
    values = action_aware(*three_rows, class_counts=COUNTS, epoch=30, beta_min=beta, beta_max=beta)
    assert_close(values, class_balanced(*three_rows, class_counts=COUNTS, beta=beta))


def test_the_beta_of_a_class_goes_with_its_count(three_rows):
    # 0.99 + 0.0099 * (n - 10) / 90
    betas = [0.9999, 0.9944, 0.99]
    raw = [(1 - b) / (1 - b**n) for b, n in zip(betas, (100, 50, 10), strict=True)]
    weights = weights_at(20, three_rows)
    assert_close(weights / weights.sum(), torch.tensor(raw, dtype=torch.float64) / sum(raw))


@pytest.mark.parametrize("count", [1.0, 40.0])
def test_classes_of_equal_counts_have_weight_one(three_rows, count):
    equal = torch.full((3,), count, dtype=torch.float64)
    assert_close(weights_at(20, three_rows, equal), torch.ones(3, dtype=torch.float64))


def test_a_class_without_rows_counts_as_the_rarest_that_has_any(three_rows):
    weights = weights_at(20, three_rows, torch.tensor([100.0, 0.0, 10.0], dtype=torch.float64))
    assert weights.isfinite().all()
    assert_close(weights[1], weights[2])


def test_gradient_is_that_of_the_value(three_rows):
    logits, y = three_rows
    leaf = logits.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: action_aware(z, y, class_counts=COUNTS, epoch=20), leaf)


@pytest.mark.parametrize("name", ["action_aware", "deferred_effective_number"])
def test_the_estimator_tells_it_the_epoch(name):
    X, y = load_digits(return_X_y=True)
    kept = np.concatenate([np.flatnonzero(y == c)[: 100 if c < 5 else 5] for c in range(10)])
    how = {"hidden_layer_sizes": (), "max_epochs": 6, "random_state": 0}
    never = LossClassifier("cross_entropy", **how).fit(X[kept], y[kept]).loss_curve_
    late = LossClassifier(Loss(name, start=4), **how).fit(X[kept], y[kept]).loss_curve_
    assert late[:4] == pytest.approx(never[:4])
    assert late[4] != pytest.approx(never[4], rel=1e-3)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learns_rare_classes_better_than_cross_entropy(seed):
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=seed)
    kept = np.concatenate([np.flatnonzero(y == c)[: 85 if c < 5 else 3] for c in range(10)])
    X = X + 4 * np.random.default_rng(seed).normal(size=X.shape)  # so that classes overlap

    def score(loss):
        model = LossClassifier(loss, hidden_layer_sizes=(), max_epochs=60, lr=1e-2, random_state=seed)
        return balanced_accuracy_score(y_test, model.fit(X[kept], y[kept]).predict(X_test))

    assert score("action_aware") > score("cross_entropy")
