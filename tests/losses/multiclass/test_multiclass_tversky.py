import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import jaccard_score
from torch.testing import assert_close

from sklearnloss import LossClassifier
from sklearnloss.losses.multiclass.multiclass_dice import multiclass_dice
from sklearnloss.losses.multiclass.multiclass_tversky import multiclass_tversky


def naive(logits, y, alpha, beta, smooth):
    p, g = torch.softmax(logits, 1).tolist(), smooth * len(y)
    found = []
    for j in sorted(set(y.tolist())):
        pairs = [(row[j], float(label == j)) for row, label in zip(p, y.tolist(), strict=True)]
        hits = sum(a * b for a, b in pairs)
        alarms, misses = sum(a * (1 - b) for a, b in pairs), sum((1 - a) * b for a, b in pairs)
        found.append((hits + g) / (hits + alpha * alarms + beta * misses + g))
    return 1 - sum(found) / len(found)


@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.7), (1.0, 1.0), (0.0, 2.0)])
@pytest.mark.parametrize("smooth", [0.0, 0.1])
@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 2, 2]])
def test_equals_the_formula_in_plain_loops_over_the_classes_that_come_up(three_rows, labels, smooth, alpha, beta):
    logits, y = three_rows[0], torch.tensor(labels)
    got = multiclass_tversky(logits, y, alpha=alpha, beta=beta, smooth=smooth)
    assert got.item() == pytest.approx(naive(logits, y, alpha, beta, smooth))


def test_is_dice_at_halves(three_rows):
    got = multiclass_tversky(*three_rows, alpha=0.5, beta=0.5, smooth=0.05)
    assert_close(got, multiclass_dice(*three_rows, smooth=0.1))


def test_of_large_scores_at_ones_it_is_one_minus_the_macro_jaccard_index():
    generator = torch.Generator().manual_seed(0)
    logits = 1e4 * torch.randn(100, 4, generator=generator, dtype=torch.float64)
    y = torch.randint(4, (100,), generator=generator)
    wanted = 1 - jaccard_score(y, logits.argmax(1), average="macro")
    assert multiclass_tversky(logits, y, alpha=1.0, beta=1.0, smooth=0.0).item() == pytest.approx(wanted)


def test_gradient_is_that_of_the_value(three_rows):
    logits, y = three_rows
    assert torch.autograd.gradcheck(lambda z: multiclass_tversky(z, y), logits.clone().requires_grad_())


def test_weights_count_rows(three_rows):
    logits, y = three_rows
    weight, times = torch.tensor([2.0, 0.0, 3.0], dtype=torch.float64), torch.tensor([0, 0, 2, 2, 2])
    assert_close(multiclass_tversky(logits, y, sample_weight=weight), multiclass_tversky(logits[times], y[times]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("smooth", [0.0, 0.01])
def test_value_and_gradient_are_finite_for_large_scores(smooth, dtype):
    leaf = torch.tensor([[200.0, -200.0, 0.0], [-200.0, 200.0, 0.0]], dtype=dtype, requires_grad=True)
    value = multiclass_tversky(leaf, torch.tensor([0, 0]), smooth=smooth)
    (gradient,) = torch.autograd.grad(value, leaf)
    assert value.dtype == dtype
    assert value.isfinite()
    assert gradient.isfinite().all()


def test_learns_by_name():
    X, y = load_digits(return_X_y=True)
    assert LossClassifier("multiclass_tversky", max_epochs=10, lr=5e-3, random_state=0).fit(X, y).score(X, y) > 0.95
