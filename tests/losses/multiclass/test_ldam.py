import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import LossClassifier
from sklearnloss.losses.multiclass.ldam import ldam

COUNTS = torch.tensor([81.0, 16.0, 1.0], dtype=torch.float64)


def naive(logits, y, counts, margin, scale):
    smallest = min(counts)
    values = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        lead = row[label] - margin * smallest**0.25 / counts[label] ** 0.25
        others = sum(math.exp(scale * z) for j, z in enumerate(row) if j != label)
        values.append(math.log(1 + others / math.exp(scale * lead)))
    return torch.tensor(values, dtype=logits.dtype)


@pytest.mark.parametrize("margin", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_equals_the_formula_in_plain_loops(three_rows, margin, scale):
    got = ldam(*three_rows, class_counts=COUNTS, margin=margin, scale=scale)
    assert_close(got, naive(*three_rows, COUNTS.tolist(), margin, scale), rtol=1e-6, atol=1e-9)


def test_margins_fall_with_the_fourth_root_of_the_counts():
    logits = torch.zeros(3, 3, dtype=torch.float64)
    got = ldam(logits, torch.arange(3), class_counts=COUNTS, margin=3.0, scale=1.0)
    assert_close(got, torch.log(1 + 2 * torch.exp(torch.tensor([1.0, 1.5, 3.0], dtype=torch.float64))))


def test_is_cross_entropy_of_scaled_scores_without_margin(three_rows):
    logits, y = three_rows
    wanted = F.cross_entropy(5 * logits, y, reduction="none")
    assert_close(ldam(logits, y, class_counts=COUNTS, margin=0.0, scale=5.0), wanted)


def test_classes_without_rows_take_no_part_in_the_margins_of_others(three_rows):
    logits, y = three_rows
    some = torch.tensor([81.0, 16.0, 0.0], dtype=torch.float64)
    filled = torch.tensor([81.0, 16.0, 16.0], dtype=torch.float64)
    assert_close(ldam(logits, y, class_counts=some), ldam(logits, y, class_counts=filled))


def test_gradient_is_that_of_the_value(three_rows):
    logits, y = three_rows
    assert torch.autograd.gradcheck(
        lambda z: ldam(z, y, class_counts=COUNTS, scale=3.0), logits.clone().requires_grad_()
    )


def long_tail(seed):
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=seed)
    rng = np.random.default_rng(seed)
    sizes = [max(3, int(80 * 0.7**c)) for c in range(10)]
    rows = np.concatenate([rng.permutation(np.flatnonzero(y == c))[:size] for c, size in enumerate(sizes)])
    return X[rows], X_test, y[rows], y_test


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learns_by_name_and_helps_rare_classes(seed):
    X, X_test, y, y_test = long_tail(seed)

    def score(loss):
        model = LossClassifier(loss, max_epochs=60, lr=3e-3, random_state=seed).fit(X, y)
        return balanced_accuracy_score(y_test, model.predict(X_test))

    assert score("ldam") > score("cross_entropy")


def test_probabilities_are_the_softmax_of_the_scaled_scores_without_margins():
    X, _, y, _ = long_tail(0)
    model = LossClassifier("ldam", max_epochs=5, random_state=0).set_params(loss__scale=4.0).fit(X, y)
    scores = torch.as_tensor(model.decision_function(X))
    assert_close(torch.as_tensor(model.predict_proba(X)), torch.softmax(4.0 * scores, 1))
