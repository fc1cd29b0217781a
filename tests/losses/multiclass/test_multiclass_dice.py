import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_iris
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.functional.overlap import dice_of_batch
from sklearnloss.losses.multiclass.multiclass_dice import multiclass_dice


def naive(logits, y, smooth, squared):
    p, n = torch.softmax(logits, 1).tolist(), len(y)
    found = []
    for j in sorted(set(y.tolist())):
        t = [float(label == j) for label in y.tolist()]
        hits = sum(row[j] * b for row, b in zip(p, t, strict=True))
        size = sum((row[j] ** 2 if squared else row[j]) + b for row, b in zip(p, t, strict=True))
        found.append((2 * hits + smooth * n) / (size + smooth * n))
    return 1 - sum(found) / len(found)


@pytest.mark.parametrize("smooth", [0.0, 0.01, 0.3])
@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 2, 2], [1, 1, 1]])
def test_equals_the_formula_in_plain_loops_over_the_classes_that_come_up(three_rows, labels, squared, smooth):
    logits, y = three_rows[0], torch.tensor(labels)
    got = multiclass_dice(logits, y, smooth=smooth, squared=squared)
    assert got.item() == pytest.approx(naive(logits, y, smooth, squared))


def test_of_large_scores_it_is_one_minus_the_macro_f1_score():
    generator = torch.Generator().manual_seed(0)
    logits = 1e4 * torch.randn(100, 4, generator=generator, dtype=torch.float64)
    y = torch.randint(4, (100,), generator=generator)
    wanted = 1 - f1_score(y, logits.argmax(1), average="macro")
    assert multiclass_dice(logits, y, smooth=0.0).item() == pytest.approx(wanted)


def test_two_classes_are_the_mean_of_both_sides():
    logits = torch.tensor([[0.3, -1.0], [2.0, 2.5], [0.0, 1.0]], dtype=torch.float64)
    y = torch.tensor([0, 1, 1])
    p, ones = torch.softmax(logits, 1)[:, 1], torch.ones(3, dtype=torch.float64)
    sides = [dice_of_batch(q, t, ones, 0.01) for q, t in ((p, y.double()), (1 - p, 1 - y.double()))]
    assert_close(multiclass_dice(logits, y), 1 - (sides[0] + sides[1]) / 2)


def test_each_class_counts_alike_however_many_rows_it_has():
    y = torch.tensor([0] * 50 + [1])
    right = 100.0 * torch.nn.functional.one_hot(y, 2).double()
    rare_wrong = right.clone()
    rare_wrong[50] = right[0]
    assert multiclass_dice(right, y, smooth=0.0).item() == pytest.approx(0)
    assert multiclass_dice(rare_wrong, y, smooth=0.0).item() == pytest.approx(1 - (100 / 101) / 2)


@pytest.mark.parametrize("squared", [False, True])
def test_gradient_is_that_of_the_value(three_rows, squared):
    logits, y = three_rows
    leaf = logits.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: multiclass_dice(z, y, squared=squared), leaf)


def test_weights_count_rows(three_rows):
    logits, y = three_rows
    weight, times = torch.tensor([2.0, 0.0, 3.0], dtype=torch.float64), torch.tensor([0, 0, 2, 2, 2])
    assert_close(multiclass_dice(logits, y, sample_weight=weight), multiclass_dice(logits[times], y[times]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("smooth", [0.0, 0.01])
def test_value_and_gradient_are_finite_for_large_scores(smooth, dtype):
    leaf = torch.tensor([[200.0, -200.0, 0.0], [-200.0, 200.0, 0.0]], dtype=dtype, requires_grad=True)
    value = multiclass_dice(leaf, torch.tensor([0, 0]), smooth=smooth)
    (gradient,) = torch.autograd.grad(value, leaf)
    assert value.dtype == dtype
    assert value.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_beside_cross_entropy_it_does_not_give_rare_classes_up_as_it_may_alone(seed):
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=seed)
    kept = np.concatenate([np.flatnonzero(y == c)[: 85 if c < 5 else 10] for c in range(10)])

    def score(loss):
        model = LossClassifier(loss, max_epochs=30, lr=1e-2, random_state=seed).fit(X[kept], y[kept])
        return f1_score(y_test, model.predict(X_test), average="macro")

    beside = score(Loss("cross_entropy") + Loss("multiclass_dice"))
    assert beside > 0.8
    assert beside > score("multiclass_dice")


def test_learns_by_name():
    X, y = load_digits(return_X_y=True)
    assert LossClassifier("multiclass_dice", max_epochs=10, lr=5e-3, random_state=0).fit(X, y).score(X, y) > 0.95


def test_two_classes_by_name():
    X, y = load_iris(return_X_y=True)
    model = LossClassifier("multiclass_dice", max_epochs=30, lr=1e-2, random_state=0)
    assert model.fit(X[50:], y[50:]).score(X[50:], y[50:]) > 0.9
