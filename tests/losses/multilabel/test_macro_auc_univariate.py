import math

import pytest
import torch
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import roc_auc_score
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.multilabel.macro_auc_univariate import macro_auc_univariate

SURROGATES = {
    "logistic": lambda t: math.log1p(math.exp(-t)),
    "squared_hinge": lambda t: max(1 - t, 0.0) ** 2,
    "hinge": lambda t: max(1 - t, 0.0),
}


def batch(n=12, labels=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = 2 * torch.randn(n, labels, generator=generator, dtype=torch.float64)
    return scores, torch.randint(2, (n, labels), generator=generator).double()


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_equals_the_formula_in_plain_loops(surrogate):
    scores, y = batch()
    wanted = [
        [SURROGATES[surrogate](s if label else -s) for s, label in zip(*row, strict=True)]
        for row in zip(scores.tolist(), y.tolist(), strict=True)
    ]
    assert_close(macro_auc_univariate(scores, y, surrogate=surrogate), torch.tensor(wanted, dtype=torch.float64))


def test_gives_the_worked_number():
    scores, y = torch.tensor([[1.0], [0.0], [2.0]]), torch.tensor([[1.0], [0.0], [0.0]])
    assert macro_auc_univariate(scores, y).mean().item() == pytest.approx(1.044446, abs=1e-6)


def test_the_logistic_one_is_binary_cross_entropy():
    scores, y = batch()
    scores = torch.cat([scores, torch.tensor([[-200.0, 200.0, 0.0, 30.0]]).double()]).requires_grad_()
    y = torch.cat([y, torch.tensor([[1.0, 0.0, 1.0, 1.0]]).double()])
    ours, theirs = macro_auc_univariate(scores, y), F.binary_cross_entropy_with_logits(scores, y, reduction="none")
    assert_close(ours, theirs)
    assert_close(*(torch.autograd.grad(values.sum(), scores)[0] for values in (ours, theirs)))


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_finite_at_wild_scores(surrogate, dtype):
    scores = torch.tensor([[-200.0, 200.0], [200.0, 0.0], [20.0, -200.0]], dtype=dtype, requires_grad=True)
    values = macro_auc_univariate(scores, torch.tensor([[1.0, 0], [0, 1], [1, 0]], dtype=dtype), surrogate=surrogate)
    values.sum().backward()
    assert values.dtype == dtype
    assert values.isfinite().all()
    assert (values >= 0).all()
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_has_the_gradient_of_its_value(surrogate):
    scores, y = batch()
    assert torch.autograd.gradcheck(lambda s: macro_auc_univariate(s, y, surrogate=surrogate), scores.requires_grad_())


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_orders_labels_by_name(surrogate):
    X, y = make_multilabel_classification(300, n_classes=5, n_labels=2, random_state=0)
    model = LossClassifier(loss=Loss("macro_auc_univariate", surrogate=surrogate), max_epochs=20, random_state=0)
    assert roc_auc_score(y, model.fit(X, y).predict_proba(X), average="macro") > 0.85


def test_trains_with_weights():
    X, y = make_multilabel_classification(300, n_classes=5, n_labels=2, random_state=0)
    model = LossClassifier(loss="macro_auc_univariate", max_epochs=20, random_state=0)
    assert roc_auc_score(y, model.fit(X, y, sample_weight=1.0 + y[:, 0]).predict_proba(X), average="macro") > 0.85
