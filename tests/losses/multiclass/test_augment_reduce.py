import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.multiclass.augment_reduce import AugmentReduce


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n=5, k=7, d=4):
    generator = rng(1)
    hidden, weight, bias = (
        torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((n, d), (k, d), (k,))
    )
    return hidden, torch.arange(n) % k, {"head_weight": weight, "head_bias": bias, "index": torch.arange(n)}


def at(eta, n=1, **params):
    loss = AugmentReduce(n_samples=n, n_classes=7, **params).double().eval()
    loss.log_eta.fill_(math.log(eta))
    return loss


@pytest.mark.parametrize(("eta", "value"), [(2.0, 0.444755), (1.503215, 0.407606)])
def test_gives_the_worked_numbers(eta, value):
    logits = torch.tensor([[2.0, 0.0, 1.0]], dtype=torch.float64)
    facts = {"head_weight": torch.eye(3, dtype=torch.float64), "index": torch.tensor([0])}
    assert at(eta)(logits, torch.tensor([0]), rng=rng(), **facts).item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("eta", [1.0, 1.5, 4.0, 100.0])
def test_is_never_below_cross_entropy_and_tight_at_its_sum(eta):
    hidden, y, facts = batch()
    wanted = F.cross_entropy(F.linear(hidden, facts["head_weight"], facts["head_bias"]), y, reduction="none")
    assert (at(eta, 5)(hidden, y, rng=rng(), **facts) >= wanted - 1e-12).all()
    tight = at(1.0, 5)
    tight.log_eta.copy_(wanted)  # eta = 1 + sum of exp(d) is one over the probability
    assert_close(tight(hidden, y, rng=rng(), **facts), wanted)


def test_a_sample_is_unbiased_for_a_fixed_number():
    hidden, y, facts = batch()
    whole = at(3.0, 5)(hidden, y, rng=rng(), **facts)
    some = at(3.0, 5, others=2)
    generator = rng(5)
    mean = torch.stack([some(hidden, y, rng=generator, **facts) for _ in range(4000)])
    error = mean.std(0) / 4000**0.5
    assert ((mean.mean(0) - whole).abs() < 4 * error).all()
    assert (error > 0).all()


def test_the_number_moves_to_the_sum_in_training_only():
    hidden, y, facts = batch()
    exact = F.cross_entropy(F.linear(hidden, facts["head_weight"], facts["head_bias"]), y, reduction="none").exp()
    loss = AugmentReduce(n_samples=8, n_classes=7, rate=0.25).double()
    loss.log_eta[:5] = 0.0
    loss(hidden, y, rng=rng(), **facts)
    assert_close(loss.log_eta[:5].exp(), 0.75 + 0.25 * exact)
    assert_close(loss.log_eta[5:].exp(), torch.full((3,), 7.0, dtype=torch.float64))
    before = loss.log_eta.clone()
    loss.eval()(hidden, y, rng=rng(), **facts)
    assert_close(loss.log_eta, before)


def test_with_all_classes_and_a_rate_of_one_it_is_cross_entropy_in_value_and_gradient():
    hidden, y, facts = batch()
    weight = facts["head_weight"].requires_grad_()
    loss = AugmentReduce(n_samples=5, n_classes=7, rate=1.0).double()
    value = loss(hidden, y, rng=rng(), **facts)
    wanted = F.cross_entropy(F.linear(hidden, weight, facts["head_bias"]), y, reduction="none")
    assert_close(value, wanted)
    assert_close(*(torch.autograd.grad(v.sum(), weight)[0] for v in (value, wanted)))


def test_classes_that_were_not_drawn_have_no_gradient():
    hidden, y, facts = batch(n=2, k=50)
    weight = facts["head_weight"].requires_grad_()
    AugmentReduce(n_samples=2, n_classes=50, others=5).double()(hidden, y, rng=rng(), **facts).sum().backward()
    moved = (weight.grad != 0).any(1)
    assert moved[y].all()
    assert moved.sum() <= 2 + 6


@pytest.mark.parametrize("far", [-200.0, 200.0])
def test_is_finite_far_out(far):
    hidden, y, facts = batch()
    hidden = (far * hidden).requires_grad_()
    loss = AugmentReduce(n_samples=5, n_classes=7).double()
    for _ in range(3):
        value = loss(hidden, y, rng=rng(), **facts)
    value.sum().backward()
    assert value.isfinite().all()
    assert hidden.grad.isfinite().all()
    assert value.max() <= loss.log_eta.max() + 1 / loss.rate


@pytest.mark.parametrize("others", [3, 256])
def test_learns_by_name_and_predicts_over_all_classes(others):
    X, y = load_digits(return_X_y=True)
    model = LossClassifier(Loss("augment_reduce", others=others), max_epochs=15, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1, atol=1e-6)
