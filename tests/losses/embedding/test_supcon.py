import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.embedding.supcon import supcon


def batch(n=12, d=5, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(n, d, generator=generator, dtype=torch.float64), torch.arange(n) % classes


def naive(embeddings, y, tau, kept=None):
    unit, n = F.normalize(embeddings, dim=1), len(y)
    values = []
    for i in range(n):
        cosines = [float(unit[i] @ unit[j]) / tau for j in range(n)]
        chosen = [j for j in range(n) if j != i and (kept is None or kept[i, j])]
        total = math.log(sum(math.exp(cosines[k]) for k in chosen)) if chosen else 0.0
        terms = [total - cosines[j] for j in chosen if y[j] == y[i]]
        values.append(sum(terms) / len(terms) if terms else 0.0)
    return torch.tensor(values, dtype=embeddings.dtype)


@pytest.mark.parametrize("tau", [0.1, 0.5, 2.0])
def test_equals_the_formula_in_plain_loops(tau):
    embeddings, y = batch()
    values, valid = supcon(embeddings, y, tau=tau)
    assert_close(values, naive(embeddings, y, tau))
    assert_close(valid, torch.ones_like(values))


def test_anchors_without_a_positive_are_zero_and_not_valid():
    embeddings = batch()[0]
    y = torch.tensor([0] * 5 + [1] * 5 + [2, 3])
    values, valid = supcon(embeddings, y)
    assert_close(values, naive(embeddings, y, 0.1))
    assert valid.tolist() == [1.0] * 10 + [0.0] * 2


@pytest.mark.parametrize("n", [1, 2, 5])
def test_nothing_valid_gives_zero_with_a_valid_gradient(n):
    embeddings = batch(n)[0].requires_grad_()
    values, valid = supcon(embeddings, torch.arange(n))
    values.sum().backward()
    assert (values == 0).all()
    assert (valid == 0).all()
    assert (embeddings.grad == 0).all()


def test_is_the_log_of_the_others_for_equal_embeddings():
    values, _ = supcon(torch.ones(6, 3), torch.tensor([0, 0, 0, 1, 1, 1]))
    assert_close(values, torch.full((6,), math.log(5)))


def test_does_not_see_the_length_of_embeddings():
    embeddings, y = batch()
    lengths = torch.logspace(-6, 6, len(y), dtype=torch.float64)[:, None]
    assert_close(supcon(embeddings * lengths, y)[0], supcon(embeddings, y)[0])


def test_is_small_where_classes_lie_apart():
    values, _ = supcon(torch.tensor([[1.0, 0], [1, 0], [-1, 0], [-1, 0]]), torch.tensor([0, 0, 1, 1]))
    assert (values < 1e-6).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_finite_for_zero_wild_and_equal_embeddings(dtype):
    rows = [[0.0, 0.0], [0.0, 0.0], [200.0, -200.0], [-200.0, 200.0], [1.0, 1.0], [1.0, 1.0]]
    embeddings = torch.tensor(rows, dtype=dtype, requires_grad=True)
    values, valid = supcon(embeddings, torch.tensor([0, 1, 0, 1, 0, 1]))
    values.sum().backward()
    assert values.dtype == valid.dtype == dtype
    assert values.isfinite().all()
    assert embeddings.grad.isfinite().all()


def test_has_the_gradient_of_its_value():
    embeddings, y = batch(7, 3)
    assert torch.autograd.gradcheck(lambda e: supcon(e, y)[0], embeddings.requires_grad_())


def test_keeps_the_pairs_of_a_miner(coins, keeping):
    embeddings, y = batch()
    mask = coins(12, 12)
    values, valid = supcon(embeddings, y, pairs=keeping(mask))
    assert_close(values, naive(embeddings, y, 0.1, mask))
    positives = (y[:, None] == y) & ~torch.eye(12, dtype=torch.bool)
    assert_close(valid, (positives & mask).any(1).double())


@pytest.mark.parametrize("sizes", [(3, 3), (4, 2, 1)])
def test_has_second_derivatives(sizes, waves):
    embeddings, y = waves(*sizes, d=3)
    assert torch.autograd.gradgradcheck(lambda e: supcon(e, y)[0], embeddings.requires_grad_())


def test_takes_the_temperature_as_a_tensor():
    embeddings, y = batch()
    assert_close(
        supcon(embeddings, y, tau=torch.tensor(0.2, dtype=torch.float64))[0], supcon(embeddings, y, tau=0.2)[0]
    )


def test_trains_as_a_term_of_a_sum_that_the_history_keeps_apart():
    X, y = load_digits(return_X_y=True)
    loss = Loss("cross_entropy") + 0.1 * Loss("supcon")
    model = LossClassifier(loss=loss, max_epochs=10, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    first, last = model.history_[0], model.history_[-1]
    for name in ("train_loss_cross_entropy", "train_loss_supcon"):
        assert last[name] < first[name]
    wanted = last["train_loss_cross_entropy"] + 0.1 * last["train_loss_supcon"]
    assert last["train_loss"] == pytest.approx(wanted)
