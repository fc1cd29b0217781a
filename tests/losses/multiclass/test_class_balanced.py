import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.multiclass.class_balanced import class_balanced

COUNTS = torch.tensor([100.0, 50.0, 10.0], dtype=torch.float64)


def naive(logits, y, counts, beta):
    weights = [1 / sum(beta**i for i in range(int(n))) for n in counts.tolist()]
    mean = sum(n * w for n, w in zip(counts.tolist(), weights, strict=True)) / float(counts.sum())
    values = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        p = math.exp(row[label]) / sum(math.exp(z) for z in row)
        values.append(-weights[label] / mean * math.log(p))
    return torch.tensor(values, dtype=logits.dtype)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.99, 0.9999])
def test_equals_the_formula_in_plain_loops(three_rows, beta):
    assert_close(class_balanced(*three_rows, class_counts=COUNTS, beta=beta), naive(*three_rows, COUNTS, beta))


def test_weights_are_the_worked_numbers_up_to_a_factor(three_rows):
    plain = F.cross_entropy(*three_rows, reduction="none")
    weights = class_balanced(*three_rows, class_counts=COUNTS, beta=0.999) / plain
    wanted = torch.tensor([0.239714, 0.467731, 2.292555], dtype=torch.float64)
    assert_close(3 * weights / weights.sum(), wanted, atol=1e-6, rtol=0)


def test_is_cross_entropy_at_beta_zero_and_for_classes_of_equal_size(three_rows):
    plain = F.cross_entropy(*three_rows, reduction="none")
    assert_close(class_balanced(*three_rows, class_counts=COUNTS, beta=0.0), plain)
    assert_close(class_balanced(*three_rows, class_counts=torch.full((3,), 40.0, dtype=torch.float64)), plain)


def test_equals_the_weighted_mean_of_torch_over_all_training_rows():
    generator = torch.Generator().manual_seed(0)
    y = torch.repeat_interleave(torch.arange(3), torch.tensor([100, 50, 10]))
    logits = torch.randn(160, 3, generator=generator, dtype=torch.float64)
    weights = (1 - 0.99) / (1 - 0.99**COUNTS)
    wanted = F.cross_entropy(logits, y, weight=weights)
    assert_close(class_balanced(logits, y, class_counts=COUNTS, beta=0.99).mean(), wanted)


def test_a_class_without_rows_gives_no_infinite_weight(three_rows):
    counts = torch.tensor([100.0, 0.0, 10.0], dtype=torch.float64)
    values = class_balanced(*three_rows, class_counts=counts)
    assert values.isfinite().all()


def test_gradient_is_that_of_the_value(three_rows):
    logits, y = three_rows
    leaf = logits.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: class_balanced(z, y, class_counts=COUNTS), leaf)


def test_takes_its_hyperparameter_as_a_tensor(three_rows):
    beta = torch.tensor(0.99, dtype=torch.float64)
    assert_close(
        class_balanced(*three_rows, class_counts=COUNTS, beta=beta),
        class_balanced(*three_rows, class_counts=COUNTS, beta=0.99),
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learns_rare_classes_by_name_better_than_cross_entropy(seed):
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=seed)
    kept = np.concatenate([np.flatnonzero(y == c)[: 85 if c < 5 else 3] for c in range(10)])
    rng = np.random.default_rng(seed)
    X = X + 4 * rng.normal(size=X.shape)  # so that classes overlap

    def score(loss):
        model = LossClassifier(loss, hidden_layer_sizes=(), max_epochs=60, lr=1e-2, random_state=seed)
        return balanced_accuracy_score(y_test, model.fit(X[kept], y[kept]).predict(X_test))

    assert score(Loss("class_balanced", beta=0.999)) > score("cross_entropy")
