import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.binary.vcl import vcl

P, T = torch.tensor([0.9, 0.2, 0.6], dtype=torch.float64), torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)


def batch(n=30, groups=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = 0.3 * torch.randn(n, generator=generator, dtype=torch.float64)
    y = (torch.rand(n, generator=generator) < 0.4).double()
    return scores, y, torch.randint(groups, (n,), generator=generator)


def sigmoid(s):
    return 1 / (1 + math.exp(-s))


def in_loops(scores, y, group=None, weight=None, tau=0.1, margin=0.9, share=0.01):
    group = [0] * len(y) if group is None else group.tolist()
    weight = [1.0] * len(y) if weight is None else weight.tolist()
    values = []
    for name in sorted(set(group)):
        rows = [r for r in zip(scores.tolist(), y.tolist(), weight, group, strict=True) if r[3] == name and r[2]]
        ones, zeros = [r for r in rows if r[1]], [r for r in rows if not r[1]]
        if not ones or not zeros:
            continue
        mass = sum(w * math.exp(s / tau) for s, _, w, _ in ones) / sum(w * math.exp(s / tau) for s, _, w, _ in rows)
        pairs = [(v * w, max(margin - (sigmoid(s) - sigmoid(r)), 0)) for s, _, v, _ in ones for r, _, w, _ in zeros]
        rank = sum(w * cost for w, cost in pairs) / sum(w for w, _ in pairs)
        values.append(-math.log(mass) + share * rank)
    return sum(values) / len(values)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("params", [{}, {"tau": 0.5, "margin": 0.3}])
def test_equals_the_formula_in_plain_loops(grouped, params):
    scores, y, group = batch()
    group = group if grouped else None
    weight = torch.arange(len(y)).double() % 3
    assert vcl(scores, y, group=group, **params).item() == pytest.approx(in_loops(scores, y, group, **params))
    found = vcl(scores, y, group=group, sample_weight=weight, weight=0.3, **params).item()
    assert found == pytest.approx(in_loops(scores, y, group, weight, share=0.3, **params))


def test_gives_the_worked_numbers():
    scores = torch.logit(P)
    contrast = vcl(scores, T, weight=0.0)
    assert_close(vcl(scores, T, weight=1.0) - contrast, torch.tensor(0.35, dtype=torch.float64))
    z = (scores / 0.1).exp()
    assert contrast.item() == pytest.approx((z[1] / (z[0] + z[2])).item(), rel=1e-9)  # log(1 + x) of a tiny x
    assert 1e-16 < contrast < 3e-16


def test_does_not_overflow_where_exponentials_of_the_scores_do():
    p = torch.tensor([0.99999, 0.2, 0.6])
    scores = torch.logit(p).requires_grad_()
    assert not (scores / 0.1).exp().isfinite().all()
    value = vcl(scores, T.float())
    value.backward()
    assert value.item() == pytest.approx(in_loops(torch.logit(p.double()), T), rel=1e-4)
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_finite_at_wild_scores(dtype):
    scores = torch.tensor([-200.0, 200.0, 0.0, 200.0, -200.0, 20.0], dtype=dtype, requires_grad=True)
    value = vcl(scores, torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 0.0], dtype=dtype), group=torch.arange(6) // 3)
    value.backward()
    assert value.dtype == dtype
    assert value.isfinite()
    assert scores.grad.isfinite().all()


def test_groups_with_one_class_count_for_nothing():
    scores, y, group = batch()
    alone = torch.tensor([7, 7, 8], dtype=group.dtype)
    more = torch.cat([scores, torch.tensor([1.0, -2.0, 3.0]).double()]), torch.cat([y, torch.tensor([1.0, 1, 0])])
    more[0].requires_grad_()
    value = vcl(*more, group=torch.cat([group, alone]))
    assert_close(value, vcl(scores, y, group=group))
    (gradient,) = torch.autograd.grad(value, more[0])
    assert (gradient[-3:] == 0).all()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("grouped", [False, True])
def test_a_missing_class_gives_zero_with_a_valid_gradient(label, n, grouped):
    scores = torch.linspace(-200, 200, n, requires_grad=True)
    value = vcl(scores, torch.full((n,), label), group=torch.arange(n) // 2 if grouped else None)
    value.backward()
    assert value == 0
    assert (scores.grad == 0).all()


def test_only_the_contrast_does_not_know_the_level_of_the_scores():
    scores, y, group = batch()
    level = torch.tensor([0.5, -1.0, 2.0, 0.0]).double()[group]
    assert_close(vcl(scores + level, y, group=group, weight=0.0), vcl(scores, y, group=group, weight=0.0))
    assert (vcl(scores + level, y, group=group) - vcl(scores, y, group=group)).abs() > 1e-5


def test_the_contrast_is_content_with_one_that_is_far_ahead_and_the_hinge_is_not():
    scores = torch.tensor([4.0, -4.0, 0.0, 0.0], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([1.0, 1, 0, 0], dtype=torch.float64)
    contrast = torch.autograd.grad(vcl(scores, y, weight=0.0), scores)[0]
    both = torch.autograd.grad(vcl(scores, y), scores)[0]
    assert contrast[1].abs() < 1e-12
    assert both[1] < -1e-5


def test_names_of_groups_do_not_matter():
    scores, y, group = batch()
    names = torch.tensor([900, -3, 5, 41])[group]
    assert_close(vcl(scores, y, group=names), vcl(scores, y, group=group))


def test_a_weight_is_a_repetition():
    scores, y, group = batch()
    weight = torch.arange(len(y)) % 3
    repeated = [t.repeat_interleave(weight) for t in (scores, y, group)]
    assert_close(vcl(scores, y, group=group, sample_weight=weight.double()), vcl(*repeated[:2], group=repeated[2]))


def test_a_row_without_weight_may_have_any_score():
    scores, y, group = batch()
    weight = torch.arange(len(y)).double() % 3
    wild = torch.where(weight > 0, scores, torch.inf).requires_grad_()
    value = vcl(wild, y, group=group, sample_weight=weight)
    assert_close(value, vcl(scores, y, group=group, sample_weight=weight))
    assert torch.autograd.grad(value, wild)[0].isfinite().all()


@pytest.mark.parametrize("grouped", [False, True])
def test_has_the_gradient_of_its_value(grouped):
    scores, y, group = batch(12, 3)
    given = {"group": group if grouped else None, "weight": 0.5, "sample_weight": torch.linspace(0.5, 2, 12).double()}
    assert torch.autograd.gradcheck(lambda s: vcl(s, y, **given), scores.requires_grad_())


def test_takes_hyperparameters_as_tensors():
    given = {"tau": 0.3, "margin": 0.5, "weight": 0.2}
    tensors = {name: torch.tensor(value, dtype=torch.float64) for name, value in given.items()}
    scores, y, group = batch()
    assert_close(vcl(scores, y, group=group, **tensors), vcl(scores, y, group=group, **given))


def test_finds_the_best_of_each_group_by_name():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(60), 20)
    merit = rng.normal(size=(60, 20))
    y = (merit >= np.sort(merit)[:, [-5]]).astype(int)
    seen = merit + 3 * rng.normal(size=(60, 1)) + 0.3 * rng.normal(size=(60, 20))  # the level of a group tells nothing
    X = np.c_[seen.ravel(), rng.normal(size=1200)]
    X[:, 1] += seen.mean(1)[group]
    model = LossClassifier(loss=Loss("vcl", tau=1.0), max_epochs=20, batch_size=240, lr=1e-2, random_state=0)
    model.fit(X, y.ravel(), group=group)
    best = np.argsort(model.decision_function(X).reshape(60, 20))[:, -5:]
    assert np.take_along_axis(y, best, axis=1).mean() > 0.75
    assert not hasattr(model, "predict_proba")
