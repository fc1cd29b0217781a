import math

import numpy as np
import pytest
import torch
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import f1_score
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.multilabel.em_apl import EntropyMaximization


def made(n_samples=8, n_classes=4, **params):
    return EntropyMaximization(n_samples=n_samples, n_classes=n_classes, **params).double()


def batch(n=8, labels=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, labels, generator=generator, dtype=torch.float64)
    return logits, (torch.rand(n, labels, generator=generator) < 0.3).double()


def naive(logits, y, alpha, beta, observed=None, pseudo=None):
    values = torch.zeros_like(logits)
    for i, row in enumerate(logits.tolist()):
        for j, z in enumerate(row):
            p = 1 / (1 + math.exp(-z))
            if y[i, j]:
                values[i, j] = -math.log(p)
            elif observed is not None and observed[i, j]:
                values[i, j] = -math.log(1 - p)
            elif pseudo is not None and pseudo[i, j] >= 0:
                q = pseudo[i, j].item()
                values[i, j] = -beta * (q * math.log(p) + (1 - q) * math.log(1 - p))
            else:
                values[i, j] = alpha * (p * math.log(p) + (1 - p) * math.log(1 - p))
    return values


def visit(em, logits, y, epoch, **facts):
    return em(logits, y, index=torch.arange(len(y)), epoch=epoch, **facts)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 1.0])
def test_equals_the_formula_in_plain_loops(alpha):
    logits, y = batch()
    assert_close(visit(made(alpha=alpha), logits, y, 0), naive(logits, y, alpha, 0.2))
    observed = batch(seed=1)[1]
    assert_close(visit(made(alpha=alpha), logits, y, 0, observed=observed), naive(logits, y, alpha, 0.2, observed))


def test_equals_the_formula_with_pseudo_labels():
    (logits, y), later = batch(), batch(seed=2)[0]
    em = made(warmup=1, spread=2, beta=0.7)
    visit(em, logits, y, 0)
    value = visit(em, later, y, 1)
    pseudo = torch.full_like(logits, -1)
    for j in range(4):  # the lowest half of nine tenths
        unknown = [i for i in range(8) if not y[i, j]]
        for i in sorted(unknown, key=lambda i: logits[i, j])[: int(0.45 * len(unknown))]:
            pseudo[i, j] = torch.sigmoid(logits[i, j])
    assert (pseudo >= 0).any()
    assert_close(em.pseudo, pseudo)
    assert_close(value, naive(later, y, 0.1, 0.7, pseudo=pseudo))


def test_the_gradient_of_an_unknown_label_is_alpha_p_q_z():
    z = torch.tensor([[-50.0, -3.0, 0.0, 2.0, 50.0]], dtype=torch.float64, requires_grad=True)
    visit(made(1, 5, alpha=0.3), z, torch.zeros(1, 5).double(), 0).sum().backward()
    p = torch.sigmoid(z.detach())
    assert_close(z.grad, 0.3 * p * (1 - p) * z.detach())
    assert z.grad[0, 2] == 0
    assert z.grad[0, [0, 4]].abs().max() < 1e-9


def test_without_entropy_and_pseudo_labels_only_positives_have_a_value():
    logits, y = batch()
    em = made(alpha=0.0, fraction=0.0, warmup=1)
    for epoch in range(12):
        value = visit(em, logits, y, epoch)
    assert_close(value, -y * F.logsigmoid(logits))


def test_if_all_labels_were_seen_it_is_binary_cross_entropy():
    logits, y = batch()
    em = made(warmup=1, spread=1)
    wanted = F.binary_cross_entropy_with_logits(logits, y, reduction="none")
    for epoch in range(3):
        assert_close(visit(em, logits, y, epoch, observed=torch.ones(8)), wanted)
    assert (em.pseudo < 0).all()


def test_pseudo_labels_are_set_once_never_for_known_labels_and_reach_their_share():
    logits, y = batch(40)
    em = made(40, fraction=0.75, warmup=2, spread=4)
    counts, before = [], em.pseudo.clone()
    for epoch in range(9):
        visit(em, logits + batch(40, seed=epoch)[0], y, epoch)
        old = before >= 0
        assert_close(em.pseudo[old], before[old])
        assert not (em.pseudo[y == 1] >= 0).any()
        before = em.pseudo.clone()
        counts.append((em.pseudo >= 0).sum(0))
    unknown = (y == 0).sum(0).double()
    for epoch, share in ((1, 0), (2, 0.25), (3, 0.5), (4, 0.75), (5, 1), (8, 1)):
        assert counts[epoch].tolist() == [math.floor(0.75 * share * n) for n in unknown.tolist()]


def test_rows_that_were_never_visited_get_no_pseudo_labels():
    logits, y = batch()
    em = made(20, fraction=1.0, warmup=1, spread=1)
    for epoch in range(3):
        visit(em, logits, y, epoch)
    assert (em.pseudo[:8] >= 0).equal(y == 0)
    assert not (em.pseudo[8:] >= 0).any()


def test_state_moves_only_in_training():
    logits, y = batch()
    em = made(warmup=1).eval()
    for epoch in range(3):
        visit(em, logits, y, epoch)
    assert (em.proba < 0).all()
    assert (em.pseudo < 0).all()


def test_has_the_gradient_of_its_value():
    logits, y = batch()
    em = made(warmup=1, spread=2)
    for epoch in range(3):
        visit(em, logits, y, epoch)
    em.eval()
    assert (em.pseudo >= 0).any()
    assert torch.autograd.gradcheck(lambda z: visit(em, z, y, 3), logits.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_finite_at_wild_scores(dtype):
    em = EntropyMaximization(n_samples=2, n_classes=4, warmup=1, spread=1)
    logits = torch.tensor([[-200.0, 200.0, 0.0, 20.0], [200.0, -200.0, -20.0, 200.0]], dtype=dtype, requires_grad=True)
    y = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0]], dtype=dtype)
    for epoch in range(2):
        values = visit(em, logits, y, epoch)
        (gradient,) = torch.autograd.grad(values.sum(), logits)
        assert values.dtype == dtype
        assert values.isfinite().all()
        assert gradient.isfinite().all()


@pytest.mark.parametrize("seed", range(3))
def test_by_name_it_finds_more_labels_from_one_positive_per_row_than_cross_entropy(seed):
    X, y = make_multilabel_classification(400, n_classes=6, n_labels=3, length=100, random_state=seed)
    rng = np.random.default_rng(seed)
    single = np.zeros_like(y)
    for i in np.flatnonzero(y.any(1)):
        single[i, rng.choice(np.flatnonzero(y[i]))] = 1

    def score(loss):
        model = LossClassifier(loss, max_epochs=10, lr=1e-2, random_state=0).fit(X[::2], single[::2])
        return f1_score(y[1::2], model.predict(X[1::2]), average="micro", zero_division=0)

    assert score(Loss("em_apl", fraction=0.5)) > score("bce") + 0.1


def test_takes_what_was_seen_from_fit():
    X, y = make_multilabel_classification(300, n_classes=4, random_state=0)
    seen = np.random.default_rng(0).random(y.shape) < 0.5
    model = LossClassifier("em_apl", max_epochs=15, lr=1e-2, random_state=0).fit(X, y * seen, observed=seen)
    assert ((model.predict_proba(X) > 0.5) == y).mean() > 0.7
