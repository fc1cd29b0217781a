import math

import numpy as np
import pytest
import torch
from sklearn.datasets import make_multilabel_classification
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.multilabel.large_loss import LargeLoss

MODES = ("reject", "correct_temp", "correct_perm")


def made(n_samples=10, n_classes=6, **params):
    return LargeLoss(n_samples=n_samples, n_classes=n_classes, **params).double()


def batch(n=10, labels=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, labels, generator=generator, dtype=torch.float64)
    return logits, (torch.rand(n, labels, generator=generator) < 0.3).double()


def visit(large, logits, y, epoch, **facts):
    return large(logits, y, index=torch.arange(len(y)), epoch=epoch, **facts)


def plain(logits, y):
    return F.binary_cross_entropy_with_logits(logits, y, reduction="none").mean(1)


def naive(logits, y, observed, count, mode):
    rows = [list(row) for row in F.binary_cross_entropy_with_logits(logits, y, reduction="none").tolist()]
    unseen = [(i, j) for i in range(len(y)) for j in range(y.shape[1]) if not y[i, j] and not observed[i, j]]
    chosen = sorted(unseen, key=lambda at: -rows[at[0]][at[1]])[:count]
    for i, j in chosen:
        rows[i][j] = 0.0 if mode == "reject" else math.log1p(math.exp(-logits[i, j].item()))
    return torch.tensor(rows, dtype=logits.dtype).mean(1), chosen


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("epoch", [1, 3])
def test_equals_the_formula_in_plain_loops(mode, epoch):
    (logits, y), observed = batch(), batch(seed=1)[1]
    count = math.ceil(60 * 0.04 * (1 if mode == "correct_perm" else epoch))
    got = visit(made(mode=mode, fraction=0.04, limit=1.0), logits, y, epoch, observed=observed)
    assert_close(got, naive(logits, y, observed, count, mode)[0])


@pytest.mark.parametrize("mode", MODES)
def test_is_binary_cross_entropy_in_the_first_epoch_and_where_all_labels_were_seen(mode):
    logits, y = batch()
    large = made(mode=mode, fraction=0.5, limit=1.0)
    assert_close(visit(large, logits, y, 0), plain(logits, y))
    assert_close(visit(large, logits, y, 5, observed=torch.ones(10)), plain(logits, y))
    assert_close(visit(large, logits, torch.ones_like(y), 5), plain(logits, torch.ones_like(y)))


@pytest.mark.parametrize("mode", MODES)
def test_more_places_than_unseen_labels_leave_the_seen_ones_as_they_are(mode):
    # were the values of seen labels set to zero, the least of the largest would be zero and take them as well
    logits, y = batch()
    y[0, 0], y[0, 1], observed = 1.0, 0.0, torch.zeros_like(y)
    observed[0, 1] = 1
    logits.requires_grad_()
    value = visit(made(mode=mode, fraction=0.9, limit=1.0), logits, y, 9, observed=observed)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    wanted = (torch.sigmoid(logits) - y).detach() / 6
    seen = (y > 0) | (observed > 0)
    assert_close(gradient[seen], wanted[seen])


def test_rejected_entries_have_no_gradient_and_the_others_their_own():
    logits, y = batch()
    chosen = naive(logits, y, torch.zeros_like(y), 9, "reject")[1]
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(visit(made(fraction=0.05, limit=0.15), logits, y, 50).sum(), logits)
    wanted = (torch.sigmoid(logits) - y).detach() / 6
    for i, j in chosen:
        wanted[i, j] = 0
    assert_close(gradient, wanted)
    assert (gradient == 0).sum() == 9


def test_equal_values_are_chosen_together():
    logits = torch.zeros(10, 6, dtype=torch.float64)
    value = visit(made(fraction=0.01), logits, torch.zeros_like(logits), 1)
    assert (value == 0).all()


def test_a_permanent_correction_stays_and_a_temporary_one_does_not():
    logits, y = batch()
    _, ((i, j),) = naive(logits, y, torch.zeros_like(y), 1, "correct_perm")
    low = logits.clone()
    low[i, j] = -9.0
    for mode in ("correct_perm", "correct_temp"):
        large = made(mode=mode, fraction=1e-3, limit=1.0)
        visit(large, logits, y, 1)
        leaf = low.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(visit(large, leaf, y, 1).sum(), leaf)
        assert (gradient[i, j] < 0) == (mode == "correct_perm")


def test_permanent_corrections_end_at_the_limit_and_move_only_in_training():
    logits, y = batch()
    large = made(20, mode="correct_perm", fraction=0.05, limit=0.1)
    for epoch in range(1, 12):
        visit(large.train(epoch > 1), logits, y, epoch)
        assert (large.turned.sum() > 0) == (epoch > 1)
    assert large.turned.sum() == 12
    assert not large.turned[:10][y == 1].any()
    assert not large.turned[10:].any()


def test_a_boost_multiplies_positive_scores():
    logits, y = batch()
    boosted = torch.where(logits > 0, 5 * logits, logits)
    assert_close(visit(made(boost=5.0), logits, y, 4), visit(made(), boosted, y, 4))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_finite_at_wild_scores(mode, dtype):
    large = LargeLoss(n_samples=2, n_classes=4, mode=mode, limit=0.5)
    logits = torch.tensor([[-200.0, 200.0, 0.0, 20.0], [200.0, -200.0, -20.0, 200.0]], dtype=dtype, requires_grad=True)
    y = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0]], dtype=dtype)
    for epoch in range(3):
        values = visit(large, logits, y, epoch)
        (gradient,) = torch.autograd.grad(values.sum(), logits)
        assert values.dtype == dtype
        assert values.isfinite().all()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("mode", MODES)
def test_has_the_gradient_of_its_value(mode):
    logits, y = batch(4)
    large = made(mode=mode, fraction=0.05).eval()
    assert torch.autograd.gradcheck(lambda z: visit(large, z, y, 2), logits.requires_grad_())


@pytest.mark.parametrize("mode", MODES)
def test_trains_by_name_with_what_was_seen(mode):
    X, y = make_multilabel_classification(200, n_classes=4, random_state=0)
    seen = np.random.default_rng(0).random(y.shape) < 0.7
    model = LossClassifier(Loss("large_loss", mode=mode, boost=2.0), max_epochs=10, lr=1e-2, random_state=0)
    model.fit(X, y * seen, observed=seen)
    assert (model.predict(X) == y).mean() > 0.7
