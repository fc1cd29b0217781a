import math

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss.exceptions import TaskError
from sklearnloss.losses.embedding.supcon import supcon
from sklearnloss.losses.embedding.supremix import draw_negatives, draw_positives, supremix


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n=10, d=4, seed=0):
    """Return embeddings and sorted targets, of which some are equal."""
    embeddings = 3 * torch.randn(n, d, dtype=torch.float64, generator=generator(seed))
    y = torch.randn(n, dtype=torch.float64, generator=generator(seed + 1)).sort().values
    y[3] = y[2]
    return embeddings, y[:, None]


def naive(embeddings, y, rng, *, tau, n_mix, alpha, beta, window, weighting):
    """Form every mixture and sum over all of them, one after the other."""
    z, n = F.normalize(embeddings, dim=1), len(y)
    t = (y[:, 0] - y.mean()) / y.std(correction=0)
    negatives = draw_negatives((t[:, None] - t).abs(), n_mix, alpha, beta, rng)
    positives = draw_positives(t, n_mix, window, rng)
    weight = {"l1": lambda g: 1 + g, "l2": lambda g: 1 + g**2, "none": lambda g: 1.0}[weighting]
    totals, valid = [], []
    for i in range(n):
        everything, own = [], []
        for j in range(n):
            if j != i:
                everything.append((z[j], t[j]))
                own += [z[j]] if t[j] == t[i] else []
        for k, share, exists in zip(*(x[i] for x in negatives), strict=True):
            if exists:
                everything.append((share * z[i] + (1 - share) * z[k], share * t[i] + (1 - share) * t[k]))
        for j, k, exists in zip(*(x[i] for x in positives), strict=True):
            if exists:
                a = (t[k] - t[i]) / (t[k] - t[j])
                mixture = a * z[j] + (1 - a) * z[k]
                assert float(a * t[j] + (1 - a) * t[k]) == pytest.approx(float(t[i]))
                everything.append((mixture, t[i]))
                own.append(mixture)
        total = math.log(sum(weight(abs(float(t[i] - u))) * math.exp(float(z[i] @ v) / tau) for v, u in everything))
        totals.append(sum(total - float(z[i] @ v) / tau for v in own) / len(own) if own else 0.0)
        valid.append(float(bool(own)))
    return torch.tensor(totals, dtype=torch.float64), torch.tensor(valid, dtype=torch.float64)


@pytest.mark.parametrize(
    ("tau", "n_mix", "alpha", "beta", "window", "weighting"),
    [
        (0.07, 16, 2, 8, 0.2, "l1"),
        (0.07, 3, 8, 2, 0.5, "l2"),
        (1.0, 4, 5, 5, 1.0, "none"),
        (0.5, 0, 2, 8, 0.2, "l1"),
    ],
)
def test_equals_the_formula_over_mixtures_that_are_formed_one_by_one(tau, n_mix, alpha, beta, window, weighting):
    embeddings, y = batch()
    params = {"tau": tau, "n_mix": n_mix, "alpha": alpha, "beta": beta, "window": window, "weighting": weighting}
    totals, valid = supremix(embeddings, y, rng=generator(), **params)
    wanted, there = naive(embeddings, y, generator(), **params)
    assert_close(valid, there)
    assert_close(totals, wanted)


def test_without_mixtures_and_weights_it_is_supervised_contrastive():
    embeddings = batch(n=9)[0]
    y = torch.arange(9) % 3
    assert_close(
        supremix(embeddings, y.double(), rng=generator(), tau=0.1, n_mix=0, weighting="none"),
        supcon(embeddings, y, tau=0.1),
    )


def test_one_target_has_neither_mixtures_nor_weights():
    embeddings, _ = batch()
    totals, valid = supremix(embeddings, torch.ones(10, 1, dtype=torch.float64), rng=generator())
    assert valid.tolist() == [1.0] * 10
    assert_close(totals, supcon(embeddings, torch.zeros(10, dtype=torch.int64), tau=0.07)[0])


def test_real_rows_and_mixtures_stand_on_one_scale():
    # all products are equal to one, so each part of the sum counts by its number, whatever the temperature
    y = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)[:, None]
    for tau in (0.01, 1.0):
        totals, valid = supremix(
            torch.ones(3, 2, dtype=torch.float64), y, rng=generator(), tau=tau, window=1.0, weighting="none"
        )
        assert valid.tolist() == [0.0, 1.0, 0.0]  # the one in the middle has a positive mixture
        assert totals[1].item() == pytest.approx(math.log(2 + 2 + 1))


def test_a_mixture_that_is_nearly_the_anchor_is_the_hardest_negative():
    embeddings, y = batch()
    mild, hard = (
        supremix(embeddings, y, rng=generator(), n_mix=20, alpha=a, beta=b)[0].sum() for a, b in ((1, 200), (200, 1))
    )
    assert hard > mild


def test_shift_and_scale_of_targets_do_not_matter():
    embeddings, y = batch()
    assert_close(supremix(embeddings, 50 * y - 7, rng=generator()), supremix(embeddings, y, rng=generator()))


def test_an_anchor_without_any_positive_is_not_valid():
    embeddings, _ = batch(n=4)
    y = torch.tensor([[0.0], [1.0], [5.0], [9.0]], dtype=torch.float64)
    leaf = embeddings.requires_grad_()
    totals, valid = supremix(leaf, y, rng=generator(), window=0.1)
    (gradient,) = torch.autograd.grad(totals.sum(), leaf)
    assert totals.abs().max() == valid.max() == gradient.abs().max() == 0


def test_mixtures_are_constants_for_the_gradient():
    embeddings = batch()[0][:3].requires_grad_()
    y = torch.tensor([[0.0], [1.0], [2.0]], dtype=torch.float64)
    totals, _ = supremix(embeddings, y, rng=generator(), tau=1.0, window=1.0, weighting="none")
    (gradient,) = torch.autograd.grad(totals[1], embeddings)
    z = F.normalize(embeddings, dim=1)
    fixed = z.detach()
    index, share, exists = draw_negatives((y - y.T).abs(), 16, 2, 8, generator())  # sees where targets are equal only
    assert exists[1].tolist() == [True, True, False]
    share = share[1, :2, None]
    mixed = torch.cat([share * fixed[1] + (1 - share) * fixed[index[1, :2]], (fixed[[0]] + fixed[[2]]) / 2])
    products = torch.cat([z[[0, 2]] @ z[1], mixed @ z[1]])
    (wanted,) = torch.autograd.grad(products.logsumexp(0) - mixed[2] @ z[1], embeddings)
    assert_close(gradient, wanted)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_draws_are_distinct_and_lie_where_they_should(seed):
    t = batch(n=40, seed=seed)[1][:, 0]
    index, share, exists = draw_negatives((t[:, None] - t).abs(), 8, 2, 8, generator(seed))
    assert exists.all()
    assert all(len(set(row.tolist())) == 8 for row in index)
    assert (t[index] != t[:, None]).all()
    assert share.mean().item() == pytest.approx(0.2, abs=0.03)
    assert share.var().item() == pytest.approx(16 / 1100, rel=0.35)
    below, above, exists = draw_positives(t, 8, 0.2, generator(seed))
    width = 0.2 * (t.max() - t.min())
    for i, j, k in ((i, below[i, m], above[i, m]) for i, m in exists.nonzero().tolist()):
        assert t[j] < t[i] < t[k]
        assert max(t[i] - t[j], t[k] - t[i]) <= width
    assert exists.any()


def test_the_mixtures_do_not_depend_on_the_order_of_rows():
    embeddings = batch()[0]
    y = torch.randn(10, 1, dtype=torch.float64, generator=generator(5))
    order = torch.randperm(10, generator=generator(3))
    totals, valid = supremix(embeddings, y, rng=generator())
    assert_close(supremix(embeddings[order], y[order], rng=generator()), (totals[order], valid[order]))


def test_several_targets_are_refused():
    with pytest.raises(TaskError, match=r"loss 'supremix' takes one target per row, got y of shape \(10, 2\)"):
        supremix(batch()[0], torch.zeros(10, 2), rng=generator())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_embeddings_take_the_order_of_targets_where_plain_contrast_of_equal_ones_does_not(seed):
    X = torch.randn(96, 6, generator=generator(seed))
    y = (X[:, :1] + X[:, 1:2]).tanh()
    agreement = {}
    for n_mix, weighting in ((16, "l1"), (0, "none")):
        rng = generator(seed)
        torch.manual_seed(seed)
        network = torch.nn.Sequential(torch.nn.Linear(6, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        for _ in range(60):
            optimizer.zero_grad()
            totals, valid = supremix(network(X), y, rng=rng, tau=0.2, n_mix=n_mix, weighting=weighting)
            (totals.sum() / valid.sum().clamp(min=1)).backward()
            optimizer.step()
        z = F.normalize(network(X).detach(), dim=1)
        pairs = torch.triu_indices(96, 96, 1)
        far, gap = (torch.cdist(v, v)[pairs[0], pairs[1]].argsort().argsort().double() for v in (z, y))
        agreement[n_mix] = torch.corrcoef(torch.stack([far, gap]))[0, 1]
    assert agreement[16] > agreement[0] + 0.2
