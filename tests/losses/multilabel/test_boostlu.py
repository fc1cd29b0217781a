import math

import pytest
import torch
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import label_ranking_average_precision_score
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.multilabel.boostlu import boosted_sigmoid, boostlu


def batch(n=8, labels=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, labels, generator=generator, dtype=torch.float64)
    return logits, torch.randint(2, (n, labels), generator=generator).double()


@pytest.mark.parametrize("boost", [1.0, 2.5, 5.0])
def test_equals_the_formula_in_plain_loops(boost):
    logits, y = batch()
    wanted = []
    for z, label in zip(logits.flatten().tolist(), y.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-(boost * z if z > 0 else z)))
        wanted.append(-math.log(p) if label else -math.log1p(-p))
    assert_close(boostlu(logits, y, boost=boost), torch.tensor(wanted).double().view_as(logits), rtol=1e-6, atol=0)


def test_is_binary_cross_entropy_without_boost():
    logits, y = batch()
    wanted = F.binary_cross_entropy_with_logits(logits, y, reduction="none")
    assert_close(boostlu(logits, y, boost=1.0), wanted)
    assert_close(boosted_sigmoid(logits, boost=1.0), torch.sigmoid(logits))


def test_the_gradient_of_a_positive_score_has_the_factor():
    z = torch.tensor([[2.0, -2.0]], dtype=torch.float64, requires_grad=True)
    boostlu(z, torch.zeros(1, 2).double(), boost=3.0).sum().backward()
    assert_close(
        z.grad, torch.tensor([[3 * torch.sigmoid(torch.tensor(6.0)), torch.sigmoid(torch.tensor(-2.0))]]).double()
    )


def test_the_order_of_scores_and_the_side_of_one_half_stay():
    logits = batch()[0]
    p = boosted_sigmoid(logits)
    assert (p.argsort(1) == logits.argsort(1)).all()
    assert ((p > 0.5) == (logits > 0)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_finite_at_wild_scores(dtype):
    logits = torch.tensor([[-200.0, 200.0, 0.0], [200.0, -200.0, 20.0]], dtype=dtype, requires_grad=True)
    values = boostlu(logits, torch.tensor([[1.0, 0, 1], [0, 1, 0]], dtype=dtype))
    values.sum().backward()
    assert values.dtype == dtype
    assert values.isfinite().all()
    assert logits.grad.isfinite().all()


def test_has_the_gradient_of_its_value():
    logits, y = batch()
    assert torch.autograd.gradcheck(lambda z: boostlu(z, y), logits.requires_grad_())


def test_predicts_by_name_with_boosted_probabilities():
    X, y = make_multilabel_classification(300, n_classes=5, n_labels=2, random_state=0)
    model = LossClassifier(Loss("boostlu", boost=3.0), max_epochs=20, lr=1e-2, random_state=0).fit(X, y)
    proba = model.predict_proba(X)
    assert label_ranking_average_precision_score(y, proba) > 0.9
    assert (model.predict(X) == (proba > 0.5)).all()
    assert abs(proba.mean() - y.mean()) < 0.05
