import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.exceptions import ParameterError
from sklearnloss.losses.multiclass.aldr import AdaptiveLDR
from sklearnloss.losses.multiclass.ldr import ldr


def made(n_samples=3, n_classes=3, **params):
    return AdaptiveLDR(n_samples=n_samples, n_classes=n_classes, **params).double()


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64)


def naive(logits, y, before, lam, margin, alpha, normalize):
    """Return temperatures after the visit and values."""
    temperatures, values = [], []
    for row, label, old in zip(logits.tolist(), y.tolist(), before, strict=True):
        k = len(row)
        size = sum(abs(z) for z in row) / k if normalize else 1.0
        s = [z / size for z in row]
        masses = [math.exp(z / old) for z in s]
        q = [m / sum(masses) for m in masses]
        new = lam * (1 - sum(p * math.log(k * p) for p in q) / (alpha * math.log(k)))
        gaps = [z - s[label] + margin * (j != label) for j, z in enumerate(s)]
        soft = new * math.log(sum(math.exp(g / new) for g in gaps) / k)
        temperatures.append(new)
        values.append(soft - alpha * math.log(k) / (2 * lam) * (new - lam) ** 2)
    return numbers(*temperatures), numbers(*values)


def test_gives_the_worked_numbers(three_rows):
    aldr = made()
    values = aldr(*three_rows, index=torch.arange(3))
    assert_close(aldr.temperature, numbers(0.738604, 0.878840, 0.717933), atol=1e-6, rtol=0)
    assert_close(values, numbers(-0.678702, -0.241838, -0.723437), atol=1e-6, rtol=0)


@pytest.mark.parametrize("lam", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("margin", [0.0, 1.0])
@pytest.mark.parametrize("alpha", [1.1, 2.0])
@pytest.mark.parametrize("normalize", [True, False])
def test_equals_the_formula_in_plain_loops_over_three_visits(three_rows, lam, margin, alpha, normalize):
    aldr = made(lam=lam, margin=margin, alpha=alpha, normalize=normalize)
    before = [lam] * 3  # nothing is known yet
    for factor in (1.0, -0.5, 2.0):
        logits = factor * three_rows[0] + 0.1
        temperatures, wanted = naive(logits, three_rows[1], before, lam, margin, alpha, normalize)
        assert_close(aldr(logits, three_rows[1], index=torch.arange(3)), wanted)
        assert_close(aldr.temperature, temperatures)
        before = temperatures.tolist()


def test_tends_to_ldr_on_the_scaled_scores_as_alpha_grows(three_rows):
    values = made(alpha=1e9)(*three_rows, index=torch.arange(3))
    assert_close(values, numbers(-0.691006, -0.236617, -0.746660), atol=1e-6, rtol=0)


def test_is_ldr_at_the_first_temperature_before_any_training(three_rows):
    aldr = made(lam=0.5, normalize=False).eval()
    assert_close(aldr(*three_rows, index=torch.arange(3)), ldr(*three_rows, lam=0.5))


def test_no_gradient_flows_through_the_temperature(three_rows):
    logits, y = three_rows
    aldr = made(normalize=False)
    leaf = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(aldr(leaf, y, index=torch.arange(3)).sum(), leaf)
    same = logits.clone().requires_grad_()
    parts = [ldr(same[[i]], y[[i]], lam=aldr.temperature[i].item()) for i in range(3)]
    (wanted,) = torch.autograd.grad(torch.cat(parts).sum(), same)
    assert_close(gradient, wanted)
    assert not aldr.temperature.requires_grad


def test_in_evaluation_the_gradient_is_that_of_the_value(three_rows):
    logits, y = three_rows
    aldr = made()
    aldr(logits, y, index=torch.arange(3))
    aldr.eval()
    assert torch.autograd.gradcheck(lambda z: aldr(z, y, index=torch.arange(3)), logits.clone().requires_grad_())


def test_state_moves_only_in_training_and_only_for_the_rows_given(three_rows):
    logits, y = three_rows
    aldr = made(n_samples=10)
    aldr(logits, y, index=torch.tensor([7, 2, 4]))
    moved = numbers(1, 1, 0.878840, 1, 0.717933, 1, 1, 0.738604, 1, 1)
    assert_close(aldr.temperature, moved, atol=1e-6, rtol=0)
    kept = aldr.temperature.clone()
    aldr.eval()(3 * logits - 1, y, index=torch.tensor([7, 2, 4]))
    assert torch.equal(aldr.temperature, kept)


def test_temperatures_stay_in_their_interval():
    aldr = made(n_samples=200, n_classes=5, lam=2.0, alpha=1.25, normalize=False)
    logits = 100 * torch.randn(200, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    logits[:20] = 0.0
    for _ in range(3):
        aldr(logits, torch.arange(200) % 5, index=torch.arange(200))
        assert (aldr.temperature >= 2.0 * (1 - 1 / 1.25) - 1e-12).all()
        assert (aldr.temperature <= 2.0).all()
    assert_close(aldr.temperature[:20], torch.full((20,), 2.0, dtype=torch.float64))


@pytest.mark.parametrize(
    "logits", [torch.zeros(1, 3), torch.tensor([[200.0, -200.0, 0.0]]), torch.full((1, 3), -200.0)]
)
def test_value_and_gradient_are_finite_for_scores_of_nothing_and_of_much(logits):
    aldr = AdaptiveLDR(n_samples=1, n_classes=3)
    leaf = logits.clone().requires_grad_()
    value = aldr(leaf, torch.tensor([1]), index=torch.tensor([0]))
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert value.isfinite().all()
    assert gradient.isfinite().all()


def test_alpha_one_is_refused_by_name_and_range():
    with pytest.raises(ParameterError, match=r"loss 'aldr': alpha must be a float in \(1, inf\), got 1"):
        Loss("aldr", alpha=1.0).choose()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learns_by_name_from_wrong_labels_better_than_ldr_and_cross_entropy(seed):
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=seed)
    rng = np.random.default_rng(seed)
    wrong = np.where(rng.random(len(y)) < 0.6, rng.integers(10, size=len(y)), y)

    def score(loss):
        return LossClassifier(loss, max_epochs=40, lr=5e-3, random_state=seed).fit(X, wrong).score(X_test, y_test)

    assert score(Loss("aldr", lam=10.0)) > score(Loss("ldr", lam=10.0)) > score("cross_entropy")


def test_a_fit_moves_the_temperature_of_every_row_and_gives_probabilities():
    X, y = load_digits(return_X_y=True)
    model = LossClassifier("aldr", max_epochs=5, lr=5e-3, random_state=0).fit(X, y)
    (state,) = [value for name, value in model.net_.criterion_.named_buffers() if name.endswith("temperature")]
    assert state.shape == (len(X),)
    assert (state < 1).all()
    assert (state >= 0.5).all()
    proba = model.predict_proba(X)
    assert proba.sum(1) == pytest.approx(1)
    assert (proba.argmax(1) == model.predict(X)).all()
