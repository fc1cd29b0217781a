"""Means of surrogates over pairs of a positive and a negative against plain loops."""

import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.functional import auc
from sklearnloss.functional.auc import class_weights, hardest, one_side, pair_mean, surrogate_of

SURROGATES = {
    "logistic": lambda t: math.log1p(math.exp(-t)) if t > -30 else -t,
    "squared_hinge": lambda t: max(1 - t, 0.0) ** 2,
    "hinge": lambda t: max(1 - t, 0.0),
    "squared": lambda t: (1 - t) ** 2,
}


def batch(n=40, share=0.2, offset=0.0, seed=0, shape=()):
    """Return scores with ties, and weights of positives and negatives, zeros among them."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(*shape, n, generator=generator, dtype=torch.float64)
    scores = (4 * scores).round() / 4 + offset
    y = (torch.rand(*shape, n, generator=generator) < share).double()
    weight = torch.randint(4, (*shape, n), generator=generator).double()
    return scores.requires_grad_(), weight * y, weight * (1 - y)


def in_loops(scores, positive, negative, surrogate, tau=1.0):
    total = weight = 0.0
    for s, a in zip(scores.tolist(), positive.tolist(), strict=True):
        for r, b in zip(scores.tolist(), negative.tolist(), strict=True):
            if a and b:
                total += a * b * SURROGATES[surrogate]((s - r) / tau)
                weight += a * b
    return total / weight


def over_pairs(scores, positive, negative, surrogate, tau=1.0):
    lead = (scores[..., :, None] - scores[..., None, :]) / tau
    weight = positive[..., :, None] * negative[..., None, :]
    return (weight * surrogate_of(lead, surrogate)).sum((-2, -1)) / weight.sum((-2, -1))


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("tau", [0.25, 1.0])
def test_equals_plain_loops(surrogate, tau):
    given = batch()
    value, exists = pair_mean(*given, surrogate=surrogate, tau=tau)
    assert exists
    assert value.item() == pytest.approx(in_loops(*given, surrogate, tau), rel=1e-12)


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("offset", [0.0, 1000.0])
@pytest.mark.parametrize("shape", [(), (3,)])
def test_has_the_gradient_of_all_pairs(surrogate, offset, shape):
    given = batch(offset=offset, shape=shape)
    value, wanted = pair_mean(*given, surrogate=surrogate, tau=0.5)[0], over_pairs(*given, surrogate, 0.5)
    assert_close(value, wanted, rtol=1e-12, atol=0)
    ours, theirs = (torch.autograd.grad(v.sum(), given[0])[0] for v in (value, wanted))
    assert_close(ours, theirs, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_many_pairs_have_the_gradient_of_all_pairs_to_within_a_millionth(surrogate):
    given = batch(1500, offset=1000.0)
    value, wanted = pair_mean(*given, surrogate=surrogate, tau=0.5)[0], over_pairs(*given, surrogate, 0.5)
    assert_close(value, wanted, rtol=1e-8, atol=0)
    ours, theirs = (torch.autograd.grad(v, given[0])[0] for v in (value, wanted))
    assert (ours - theirs).abs().max() <= 1e-7 * theirs.abs().max()


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_single_precision_far_from_zero_has_the_gradient_of_double(surrogate):
    scores, positive, negative = batch(400, offset=1000.0)
    single = scores.detach().float().requires_grad_()
    value = pair_mean(single, positive.float(), negative.float(), surrogate=surrogate)[0]
    wanted = over_pairs(scores, positive, negative, surrogate)
    assert value.dtype == torch.float32
    assert_close(value.double(), wanted, rtol=3e-7, atol=0)
    ours, theirs = (torch.autograd.grad(v, s)[0].double() for v, s in ((value, single), (wanted, scores)))
    assert (ours - theirs).abs().max() <= 1e-6 * theirs.abs().max()


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_many_labels_with_many_rows_are_taken_one_by_one(surrogate, monkeypatch):
    given = batch(60, shape=(3,))
    together = pair_mean(*given, surrogate=surrogate)
    monkeypatch.setattr(auc, "LONG", 50)
    each = pair_mean(*given, surrogate=surrogate)
    assert_close(each, together)
    ours, theirs = (torch.autograd.grad(v[0].sum(), given[0])[0] for v in (each, together))
    assert_close(ours, theirs)


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("missing", ["positives", "negatives", "both"])
@pytest.mark.parametrize("shape", [(), (2,)])
def test_a_missing_class_gives_zero_with_a_valid_gradient(surrogate, missing, shape):
    scores, positive, negative = batch(8, shape=shape)
    positive = torch.zeros_like(positive) if missing != "negatives" else positive + 1
    negative = torch.zeros_like(negative) if missing != "positives" else negative + 1
    value, exists = pair_mean(scores, positive, negative, surrogate=surrogate)
    assert (value == 0).all()
    assert not exists.any()
    (gradient,) = torch.autograd.grad(value.sum(), scores)
    assert (gradient == 0).all()


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_of_several_problems_only_those_with_both_classes_exist(surrogate):
    scores, positive, negative = batch(shape=(3,))
    positive[1] = 0
    value, exists = pair_mean(scores, positive, negative, surrogate=surrogate)
    assert exists.tolist() == [True, False, True]
    for k in (0, 2):
        assert value[k].item() == pytest.approx(in_loops(scores[k], positive[k], negative[k], surrogate))


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("shape", [(), (2,)])
@pytest.mark.parametrize("junk", [torch.inf, -torch.inf, torch.nan])
def test_a_row_without_weight_may_have_any_score(surrogate, shape, junk):
    scores, positive, negative = batch(shape=shape)
    wanted = pair_mean(scores, positive, negative, surrogate=surrogate)[0]
    wild = torch.where(positive + negative > 0, scores.detach(), junk).requires_grad_()
    value = pair_mean(wild, positive, negative, surrogate=surrogate)[0]
    assert_close(value, wanted)
    ours, theirs = torch.autograd.grad(value.sum(), wild)[0], torch.autograd.grad(wanted.sum(), scores)[0]
    assert_close(ours, theirs)


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_one_row_is_no_pair(surrogate):
    scores = torch.zeros(1, requires_grad=True)
    value, exists = pair_mean(scores, torch.ones(1), torch.zeros(1), surrogate=surrogate)
    value.backward()
    assert (value.item(), exists.item(), scores.grad.item()) == (0, False, 0)


@pytest.mark.parametrize("surrogate", ["logistic", "squared"])
def test_has_second_derivatives(surrogate):
    scores, positive, negative = batch(10, 0.5)
    assert torch.autograd.gradgradcheck(lambda s: pair_mean(s, positive, negative, surrogate=surrogate)[0], scores)


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("weights_too", [False, True])
def test_vmap_equals_a_loop(surrogate, weights_too):
    _, positive, negative = batch()
    stack = torch.stack([batch(seed=seed)[0].detach() for seed in (1, 2, 3)])
    if weights_too:
        many = [torch.stack([w, w.roll(3), w.roll(7)]) for w in (positive, negative)]
        mapped = torch.func.vmap(lambda s, p, q: pair_mean(s, p, q, surrogate=surrogate)[0])(stack, *many)
        looped = [pair_mean(*row, surrogate=surrogate)[0] for row in zip(stack, *many, strict=True)]
    else:
        mapped = torch.func.vmap(lambda s: pair_mean(s, positive, negative, surrogate=surrogate)[0])(stack)
        looped = [pair_mean(s, positive, negative, surrogate=surrogate)[0] for s in stack]
    assert_close(mapped, torch.stack(looped))


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_surrogates_of_a_lead_are_the_formulas(surrogate):
    lead = torch.linspace(-3, 3, 13, dtype=torch.float64)
    wanted = [SURROGATES[surrogate](t) for t in lead.tolist()]
    assert_close(surrogate_of(lead, surrogate), torch.tensor(wanted, dtype=torch.float64))


def test_weights_of_classes_are_those_of_their_rows():
    y, weight = torch.tensor([1.0, 0.0, 1.0]), torch.tensor([2.0, 3.0, 0.0])
    positive, negative = class_weights(y, weight)
    assert (positive.tolist(), negative.tolist()) == ([2, 0, 0], [0, 3, 0])
    columns = class_weights(torch.stack([y, 1 - y], 1), weight)
    assert_close(columns[0], torch.stack([positive, negative], 1))


def test_half_precision_labels_count_in_single():
    assert class_weights(torch.ones(3, dtype=torch.bfloat16), None)[0].dtype == torch.float32


def test_one_side_keeps_what_has_weight_and_shares_it_out():
    scores, share, some = one_side(torch.tensor([[5.0, 6.0], [7.0, 8.0]]), torch.tensor([[0.0, 2.0], [0.0, 0.0]]))
    assert (scores.tolist(), share.tolist(), some.tolist()) == ([[6], [0]], [[1], [0]], [[True], [False]])


# -- the hardest negatives --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.25, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("ties", [False, True])
def test_the_hardest_have_that_fraction_of_the_weight_and_the_highest_scores(fraction, ties):
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(50, generator=generator, dtype=torch.float64)
    scores = scores.round() if ties else scores
    weights = torch.randint(3, (50,), generator=generator).double()
    kept = hardest(scores, weights, fraction)
    assert kept.sum().item() == pytest.approx(fraction * weights.sum().item())
    assert ((kept >= 0) & (kept <= weights)).all()
    some, whole = kept > 0, kept == weights
    cut = scores[some].min()
    assert (scores[~whole] <= cut).all()
    assert len((kept / weights)[(scores == cut) & (weights > 0)].unique()) == 1


def test_the_hardest_do_not_depend_on_the_order_of_rows():
    scores, weights = torch.tensor([1.0, 2.0, 1.0, 0.0, 1.0]), torch.tensor([1.0, 1.0, 2.0, 1.0, 1.0])
    order = torch.tensor([4, 2, 0, 1, 3])
    assert_close(hardest(scores[order], weights[order], 0.4), hardest(scores, weights, 0.4)[order])


def test_a_fraction_that_is_a_whole_number_of_rows_takes_them_whole():
    scores, weights = torch.arange(10.0, dtype=torch.float64), torch.ones(10, dtype=torch.float64)
    for k in range(1, 11):  # 0.3 * 10 is not 3
        assert_close(hardest(scores, weights, k * 0.1), (scores >= 10 - k).double())


def test_rows_without_weight_are_not_among_the_hardest():
    scores, weights = torch.tensor([torch.inf, torch.nan, 1.0, 0.0]), torch.tensor([0.0, 0.0, 1.0, 1.0])
    assert hardest(scores, weights, 0.5).tolist() == [0, 0, 1, 0]
    assert hardest(scores, torch.zeros(4), 0.5).tolist() == [0, 0, 0, 0]


def test_the_hardest_are_found_under_vmap():
    stack, weights = torch.randn(3, 8, generator=torch.Generator().manual_seed(0)), torch.ones(8)
    mapped = torch.func.vmap(lambda s: hardest(s, weights, 0.3))(stack)
    assert_close(mapped, torch.stack([hardest(s, weights, 0.3) for s in stack]))
