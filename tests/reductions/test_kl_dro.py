import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from torch.testing import assert_close

from sklearnloss import LossClassifier, Reduction, load
from sklearnloss.exceptions import ParameterError
from sklearnloss.reductions.kl_dro import KLDRO
from sklearnloss.reductions.mean import mean

VALUES = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
ONES = torch.ones(3, dtype=torch.float64)
WEIGHTS = torch.tensor([0.5, 2.0, 0.5], dtype=torch.float64)


def reduce(**params):
    return KLDRO(**params).double()


def batches(n=6, size=8, seed=0):
    rng = np.random.default_rng(seed)
    return [(torch.tensor(rng.normal(size=size)), torch.tensor(rng.gamma(1.0, size=size))) for _ in range(n)]


def in_loops(all_batches, lam, decay):
    """Return value and gradient of each batch, with running means of exponentials and of weights."""
    top = below = 0.0
    found = []
    for values, weights in all_batches:
        v, w, n = values.tolist(), weights.tolist(), len(values)
        terms = [b * math.exp(a / lam) / n for a, b in zip(v, w, strict=True)]
        top = decay * top + (1 - decay) * sum(terms)
        below = decay * below + (1 - decay) * sum(w) / n
        u = top / below
        found.append((sum(w) / n * lam * math.log(u), [t / u for t in terms]))
    return found


@pytest.mark.parametrize(("lam", "expected"), [(0.1, 1.890143), (1.0, 1.308994), (10.0, 1.033306), (1000.0, 1.000333)])
@pytest.mark.parametrize("training", [True, False])
def test_gives_the_worked_numbers(lam, expected, training):
    assert reduce(lam=lam).train(training)(VALUES, ONES).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_the_gradient_of_a_first_batch_is_a_softmax(decay):
    values = VALUES.clone().requires_grad_()
    reduce(decay=decay)(values, ONES).backward()
    assert values.grad.tolist() == pytest.approx([0.09003057, 0.24472847, 0.66524096])


@pytest.mark.parametrize("lam", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9])
def test_values_and_gradients_are_those_of_running_means(lam, decay):
    ours, given = reduce(lam=lam, decay=decay), batches()
    for (values, weights), (value, gradient) in zip(given, in_loops(given, lam, decay), strict=True):
        values = values.clone().requires_grad_()
        result = ours(values, weights)
        result.backward()
        assert result.item() == pytest.approx(value)
        assert values.grad.tolist() == pytest.approx(gradient)


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_a_high_temperature_is_the_mean_and_a_low_one_the_largest(decay):
    weights = WEIGHTS / 2  # a batch of half the usual weight
    values = VALUES.clone().requires_grad_()
    result = reduce(lam=1e7, decay=decay)(values, weights)
    result.backward()
    assert_close(result.detach(), mean(VALUES, weights), rtol=1e-5, atol=1e-5)
    assert_close(values.grad, weights / 3, rtol=1e-5, atol=1e-5)
    assert reduce(lam=1e-3, decay=decay)(VALUES, ONES).item() == pytest.approx(2, abs=2e-3)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shift", [-3.0, 500.0])
def test_moves_with_its_values(shift, training):
    one, other = reduce().train(training), reduce().train(training)
    for values, _ in batches():
        weights = torch.ones_like(values)
        assert_close(other(values + shift, weights), one(values, weights) + shift)


def test_lies_between_mean_and_largest():
    for values, weights in batches():
        weights = weights / weights.mean()
        assert mean(values, weights) <= reduce()(values, weights) <= values.max()


def test_small_batches_average_to_the_gradient_of_all_rows_once_the_normalizer_is_known():
    values = batches(1, 60)[0][0]
    whole = values.clone().requires_grad_()
    reduce(decay=0.0)(whole, torch.ones_like(whole)).backward()

    def off(decay):
        ours, sums = reduce(decay=decay), torch.zeros(60, dtype=torch.float64)
        rng = torch.Generator().manual_seed(0)
        for epoch in range(40):
            for rows in torch.randperm(60, generator=rng).split(2):
                part = values[rows].clone().requires_grad_()
                ours(part, torch.ones_like(part)).backward()
                if epoch >= 10:
                    sums[rows] += part.grad
        return (sums / sums.sum() - whole.grad).abs().sum().item()

    assert off(0.99) < 0.3 * off(0.0)


@pytest.mark.parametrize("wild", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("training", [True, False])
def test_a_value_of_weight_zero_counts_for_nothing(wild, training):
    values = torch.tensor([1.0, 2.0, wild], requires_grad=True)
    ours = KLDRO().train(training)
    value = ours(values, torch.tensor([1.0, 2.0, 0.0]))
    value.backward()
    assert value.item() == pytest.approx(math.log((math.e + 2 * math.e**2) / 3))
    assert torch.isfinite(values.grad).all()
    assert values.grad[2] == 0


@pytest.mark.parametrize("training", [True, False])
def test_a_batch_without_weight_is_zero_and_leaves_the_state_alone(training):
    ours = reduce().train(training)
    for _ in range(2):
        before = ours.log_sum.clone(), ours.log_weight.clone()
        values = VALUES.clone().requires_grad_()
        value = ours(values, torch.zeros_like(VALUES))
        value.backward()
        assert value == 0
        assert (values.grad == 0).all()
        assert torch.equal(ours.log_sum, before[0])
        assert torch.equal(ours.log_weight, before[1])
        ours(VALUES, WEIGHTS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1e-4, 2.0, 200.0])
def test_large_values_and_low_temperatures_stay_finite(dtype, scale):
    ours = KLDRO(lam=0.01).to(dtype)
    for values, weights in batches():
        values = (scale * values).to(dtype).requires_grad_()
        result = ours(values, weights.to(dtype))
        result.backward()
        assert result.dtype == dtype
        assert torch.isfinite(result)
        assert torch.isfinite(values.grad).all()
        assert values.grad.sum() <= 2 * weights.mean() / 0.1


def test_without_memory_the_gradient_is_that_of_the_value():
    values = VALUES.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: KLDRO(lam=0.7, decay=0.0).double()(v, WEIGHTS), values)


def test_evaluation_leaves_the_state_alone():
    ours = reduce()
    ours(VALUES, ONES)
    before = ours.log_sum.clone()
    ours.eval()(VALUES + 5, ONES)
    assert torch.equal(ours.log_sum, before)


@pytest.mark.parametrize("params", [{"lam": 0.0}, {"decay": 1.0}])
def test_values_out_of_range_are_refused(params):
    with pytest.raises(ParameterError, match="must be a float in"):
        Reduction("kl_dro", **params).choose()


def test_trains_by_name_and_keeps_its_state_in_a_file(tmp_path):
    X, y = load_iris(return_X_y=True)
    model = LossClassifier(reduction="kl_dro", max_epochs=30, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.9
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    ours, kept = (m.net_.criterion_.terms[0].reduction.log_sum for m in (model, again))
    assert torch.isfinite(ours)
    assert torch.equal(ours, kept)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_rare_class_is_likelier_where_it_is_true_than_with_the_mean(seed):
    rng = np.random.default_rng(seed)
    y = (rng.random(400) < 0.1).astype(int)
    X = rng.normal(size=(400, 1)) + 1.5 * y[:, None]
    likely = []
    for reduction in ("mean", Reduction("kl_dro", lam=0.5)):
        model = LossClassifier(reduction=reduction, max_epochs=20, lr=0.02, random_state=seed).fit(X, y)
        likely.append(model.predict_proba(X)[y == 1, 1].mean())
    assert likely[1] > likely[0]
