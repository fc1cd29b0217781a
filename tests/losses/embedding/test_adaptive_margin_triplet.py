import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.embedding.adaptive_margin_triplet import adaptive_margin_triplet


def batch(labels=(0, 0, 0, 1, 1, 2), d=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(labels), d, dtype=torch.float64, generator=generator), torch.tensor(labels)


def on_a_line(*places):
    """Return embeddings whose distances are those of the places."""
    return torch.tensor([[float(p)] for p in places], dtype=torch.float64, requires_grad=True)


def naive(embeddings, y, eps=1.0, normalize=True, hinge=True):
    rows = embeddings.tolist()
    if normalize:
        rows = [[x / math.hypot(*row) for x in row] for row in rows]
    n, totals, valid = len(y), [], []
    for i in range(n):
        positives = [j for j in range(n) if j != i and y[j] == y[i]]
        negatives = [j for j in range(n) if y[j] != y[i]]
        if not positives or not negatives:
            totals.append(0.0)
            valid.append(0.0)
            continue
        p = max(positives, key=lambda j: math.dist(rows[i], rows[j]))
        q = min(negatives, key=lambda j: math.dist(rows[i], rows[j]))
        ap, an, pn = math.dist(rows[i], rows[p]), math.dist(rows[i], rows[q]), math.dist(rows[p], rows[q])
        margin = 1 + 2 / (math.exp(4 * ap) + eps) + 1 + 2 / (math.exp(-4 * an + 4) + eps)
        value = ap - (an + pn) / 2 + margin
        totals.append(max(0.0, value) if hinge else value)
        valid.append(1.0)
    return torch.tensor(totals, dtype=torch.float64), torch.tensor(valid, dtype=torch.float64)


@pytest.mark.parametrize("hinge", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("eps", [1.0, 1e-6])
def test_equals_the_formula_in_plain_loops(eps, normalize, hinge):
    embeddings, y = batch()
    params = {"eps": eps, "normalize": normalize, "hinge": hinge}
    assert_close(adaptive_margin_triplet(10 * embeddings, y, **params), naive(10 * embeddings, y, **params))


@pytest.mark.parametrize(
    ("own", "wrong", "eps", "margin"),
    [(0.5, 1.0, 1.0, 1.238406 + 2.0), (0.0, 2.0, 1e-6, 3.0 + 110.2), (0.0, 4.0, 1e-6, 3.0 + 279948)],
)
def test_gives_the_worked_margins(own, wrong, eps, margin):
    embeddings = on_a_line(0.0, own, -wrong)
    totals, _ = adaptive_margin_triplet(embeddings, torch.tensor([0, 0, 1]), eps=eps, normalize=False)
    distances = own - (wrong + wrong + own) / 2
    assert totals[0].item() - distances == pytest.approx(margin, rel=2e-4)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_is_bounded_on_the_sphere_with_an_eps_of_one(seed):
    embeddings, y = batch(labels=tuple(i % 3 for i in range(30)), seed=seed)
    totals, _ = adaptive_margin_triplet(embeddings, y, hinge=False)
    assert (totals > 0).all()
    assert (totals < 7).all()


def test_the_margin_of_a_detached_one_does_not_push_a_close_positive_away():
    y = torch.tensor([0, 0, 1])
    slopes = {}
    for detach, eps in ((True, 1.0), (False, 1.0), (False, 1e-6)):
        embeddings = on_a_line(0.0, 1e-5, -1.0)  # the slope with respect to the positive is that of D_ap - D_pn / 2
        totals, _ = adaptive_margin_triplet(embeddings, y, eps=eps, normalize=False, detach_margin=detach)
        slopes[detach, eps] = torch.autograd.grad(totals[0], embeddings)[0][1].item() + 0.5
    assert slopes[True, 1.0] == pytest.approx(1.0, abs=1e-3)
    assert slopes[False, 1.0] == pytest.approx(-1.0, abs=1e-3)
    assert slopes[False, 1e-6] == pytest.approx(-7.0, abs=1e-3)


def test_the_margin_of_a_detached_one_does_not_pull_a_negative_in():
    y = torch.tensor([0, 0, 1])
    for detach, slope in ((True, -0.5), (False, 1.5)):
        embeddings = on_a_line(0.0, 0.5, -1.0)
        totals, _ = adaptive_margin_triplet(embeddings, y, normalize=False, detach_margin=detach)
        by_place = torch.autograd.grad(totals[0], embeddings)[0][2].item()  # it moves D_an and D_pn by -1 each
        assert -by_place + 0.5 == pytest.approx(slope, abs=1e-6)


def test_an_inactive_hinge_has_no_gradient_and_without_it_there_is_no_lower_bound():
    y = torch.tensor([0, 0, 1])
    embeddings = on_a_line(0.0, 1.0, -100.0)
    totals, _ = adaptive_margin_triplet(embeddings, y, normalize=False)
    (gradient,) = torch.autograd.grad(totals.sum(), embeddings)
    assert totals[0] == 0
    assert gradient.abs().max() == 0
    assert adaptive_margin_triplet(embeddings, y, normalize=False, hinge=False)[0][0] < -90


def test_does_not_see_the_length_of_embeddings():
    embeddings, y = batch()
    lengths = torch.logspace(-3, 3, len(y), dtype=torch.float64)[:, None]
    assert_close(adaptive_margin_triplet(lengths * embeddings, y), adaptive_margin_triplet(embeddings, y))


@pytest.mark.parametrize("labels", [(0, 0, 0), (0, 1, 2), (0,)])
def test_nothing_valid_gives_zero_with_a_valid_gradient(labels):
    embeddings, y = batch(labels=labels)
    totals, valid = adaptive_margin_triplet(embeddings.requires_grad_(), y)
    (gradient,) = torch.autograd.grad(totals.sum(), embeddings)
    assert totals.abs().max() == valid.max() == gradient.abs().max() == 0


def test_gradients_agree_with_differences_where_the_margin_takes_part():
    embeddings, y = batch()
    assert torch.autograd.gradcheck(
        lambda e: adaptive_margin_triplet(e, y, detach_margin=False)[0], embeddings.requires_grad_()
    )
