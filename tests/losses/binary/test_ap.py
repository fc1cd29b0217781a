import pytest
import torch
from sklearn.datasets import make_classification
from sklearn.metrics import average_precision_score
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.binary.ap import ap


def batch(n=50, share=0.3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = (torch.arange(n) < share * n).double()
    return torch.randn(n, generator=generator, dtype=torch.float64) + y, y


def in_loops(scores, y, margin=1.0, weight=None):
    weight = [1.0] * len(y) if weight is None else weight.tolist()
    rows = list(zip(scores.tolist(), y.tolist(), weight, strict=True))
    precision = total = 0.0
    for s, label, u in rows:
        if label and u:
            above = [(max(margin - (s - r), 0.0) ** 2 * v, other) for r, other, v in rows]
            precision += u * sum(cost for cost, other in above if other) / sum(cost for cost, _ in above)
            total += u
    return 1 - precision / total


def over_pairs(scores, y, margin=1.0, weight=None):
    weight = torch.ones_like(scores) if weight is None else weight
    above = (margin - (scores[:, None] - scores)).relu().square() * weight
    share = (above * y).sum(1) / above.sum(1)
    return 1 - (share * y * weight).sum() / (y * weight).sum()


@pytest.mark.parametrize("margin", [0.1, 1.0, 5.0])
def test_equals_the_formula_in_plain_loops(margin):
    scores, y = batch()
    assert ap(scores, y, margin=margin).item() == pytest.approx(in_loops(scores, y, margin))
    weight = 0.5 + torch.arange(len(y)).double() % 3
    assert ap(scores, y, margin=margin, sample_weight=weight).item() == pytest.approx(
        in_loops(scores, y, margin, weight)
    )


@pytest.mark.parametrize("offset", [0.0, 1000.0])
@pytest.mark.parametrize("ties", [False, True])
def test_has_the_gradient_of_all_pairs(offset, ties):
    scores, y = batch(300)
    scores = ((2 * scores).round() / 2 if ties else scores) + offset
    weight = torch.arange(len(y)).double() % 4
    scores = torch.where(weight > 0, scores, scores + 0.1).requires_grad_()
    ours, theirs = ap(scores, y, sample_weight=weight), over_pairs(scores, y, weight=weight)
    assert_close(ours, theirs, rtol=1e-12, atol=0)
    gradients = [torch.autograd.grad(value, scores)[0] for value in (ours, theirs)]
    assert_close(*gradients, rtol=1e-9, atol=1e-14)


def test_gives_numbers_that_can_be_counted_by_hand():
    scores = torch.tensor([1.0, 0.0, 0.0, -1.0], dtype=torch.float64)
    y = torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    # above the first: itself; above the second: 4 of the first, itself, and one of the negatives
    assert ap(scores, y).item() == pytest.approx(1 - (1 + 5 / 6) / 2)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_equal_scores_have_the_share_of_the_negatives(share):
    y = (torch.arange(20) < share * 20).float()
    assert ap(torch.full((20,), 3.0), y).item() == pytest.approx(1 - share)


def test_is_zero_where_every_positive_leads_by_the_margin():
    scores = torch.tensor([3.0, 2.5, 1.5, 0.5, -1.0], requires_grad=True)
    value = ap(scores, torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0]))
    value.backward()
    assert value == 0
    assert (scores.grad == 0).all()


def test_orders_score_as_average_precision_does():
    """Where no two scores are within the margin, one row above another differs from the score only by the weights."""
    y = torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0, 1.0])
    better, worse = torch.tensor([9.0, 7.0, 8.0, 3, 2, 1]), torch.tensor([7.0, 9.0, 3.0, 8, 2, 1])
    scores = [average_precision_score(y.numpy(), s.numpy()) for s in (better, worse)]
    assert scores[0] > scores[1]
    assert ap(better, y) < ap(worse, y)


def test_a_positive_below_many_negatives_costs_more_the_more_negatives_there_are():
    scores, y = batch()
    more = torch.cat([scores, scores[y == 0]]), torch.cat([y, y[y == 0]])
    assert ap(*more) > ap(scores, y)


@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_missing_class_gives_zero_with_a_valid_gradient(label, n, dtype):
    scores = torch.linspace(-200, 200, n, dtype=dtype, requires_grad=True)
    value = ap(scores, torch.full((n,), label, dtype=dtype))
    value.backward()
    assert value.dtype == dtype
    assert value == 0
    assert (scores.grad == 0).all()


def test_without_weights_nothing_exists():
    scores, y = batch(8)
    value = ap(scores.requires_grad_(), y, sample_weight=torch.zeros(8))
    value.backward()
    assert value == 0
    assert (scores.grad == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_finite_at_wild_scores(dtype):
    scores = torch.tensor([-200.0, 200.0, 0.0, 200.0, -200.0, 20.0], dtype=dtype, requires_grad=True)
    value = ap(scores, torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 0.0], dtype=dtype))
    value.backward()
    assert value.dtype == dtype
    assert 0 < value < 1
    assert scores.grad.isfinite().all()


def test_a_row_without_weight_may_have_any_score():
    scores, y = batch()
    weight = torch.arange(len(y)).double() % 3
    wild = torch.where(weight > 0, scores, torch.inf).requires_grad_()
    value = ap(wild, y, sample_weight=weight)
    assert_close(value, ap(scores, y, sample_weight=weight))
    assert torch.autograd.grad(value, wild)[0].isfinite().all()


def test_a_weight_is_a_repetition():
    scores, y = batch()
    weight = torch.arange(len(y)) % 3
    repeated = scores.repeat_interleave(weight), y.repeat_interleave(weight)
    assert_close(ap(scores, y, sample_weight=weight.double()), ap(*repeated))


def test_has_the_gradient_of_its_value():
    scores, y = batch(12)
    weight = torch.linspace(0.5, 2, 12, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: ap(s, y, margin=0.7, sample_weight=weight), scores.requires_grad_())
    assert torch.autograd.gradgradcheck(lambda s: ap(s, y, margin=0.7, sample_weight=weight), scores)


def test_takes_the_margin_as_a_tensor():
    assert_close(ap(*batch(), margin=torch.tensor(0.5, dtype=torch.float64)), ap(*batch(), margin=0.5))


def test_vmap_equals_a_loop():
    y = batch()[1]
    stack = torch.stack([batch(seed=seed)[0] for seed in range(3)])
    assert_close(torch.func.vmap(lambda s: ap(s, y))(stack), torch.stack([ap(s, y) for s in stack]))


@pytest.mark.parametrize("margin", [0.5, 1.0])
def test_orders_rare_positives_by_name(margin):
    X, y = make_classification(600, weights=[0.9], class_sep=1.5, random_state=0)
    model = LossClassifier(loss=Loss("ap", margin=margin), max_epochs=30, random_state=0).fit(X, y)
    assert average_precision_score(y, model.decision_function(X)) > 0.9
    assert not hasattr(model, "predict_proba")
