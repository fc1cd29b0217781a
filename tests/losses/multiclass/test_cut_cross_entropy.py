import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.multiclass import cut_cross_entropy as module
from sklearnloss.losses.multiclass.cut_cross_entropy import cut_cross_entropy


def batch(n=6, k=9, d=4):
    generator = torch.Generator().manual_seed(0)
    hidden, weight, bias = (
        torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((n, d), (k, d), (k,))
    )
    return hidden, weight, bias, torch.arange(n) % k


def naive(hidden, weight, bias, y, softcap, lse_weight):
    values = []
    for row, label in zip(hidden.tolist(), y.tolist(), strict=True):
        logits = [
            sum(a * b for a, b in zip(row, w, strict=True)) + c
            for w, c in zip(weight.tolist(), bias.tolist(), strict=True)
        ]
        logits = [softcap * math.tanh(z / softcap) for z in logits] if softcap else logits
        lse = math.log(sum(map(math.exp, logits)))
        values.append(lse - logits[label] + lse_weight * lse**2)
    return torch.tensor(values, dtype=hidden.dtype)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("softcap", [0.0, 1.5])
@pytest.mark.parametrize("lse_weight", [0.0, 0.1])
def test_equals_the_formula_in_plain_loops(large, softcap, lse_weight, monkeypatch):
    if large:
        monkeypatch.setattr(module, "LARGE", 10)
        monkeypatch.setattr(module, "CHUNK", 4)
    hidden, weight, bias, y = batch()
    found = cut_cross_entropy(hidden, y, head_weight=weight, head_bias=bias, softcap=softcap, lse_weight=lse_weight)
    assert_close(found, naive(hidden, weight, bias, y, softcap, lse_weight))


def test_a_head_without_bias_has_one_of_zero():
    hidden, weight, _, y = batch()
    assert_close(
        cut_cross_entropy(hidden, y, head_weight=weight), F.cross_entropy(hidden @ weight.T, y, reduction="none")
    )


def test_trains_as_cross_entropy_does_to_the_last_digits():
    X, y = load_digits(return_X_y=True)
    plain, cut = (
        LossClassifier(loss, max_epochs=4, random_state=0).fit(X, y) for loss in ("cross_entropy", "cut_cross_entropy")
    )
    np.testing.assert_allclose(cut.predict_proba(X), plain.predict_proba(X), atol=1e-8)
    assert (cut.predict(X) == plain.predict(X)).all()


@pytest.mark.parametrize("params", [{"skip": 1e-6}, {"softcap": 20.0}, {"lse_weight": 1e-3}])
def test_learns_with_every_option(params, monkeypatch):
    monkeypatch.setattr(module, "LARGE", 100)
    monkeypatch.setattr(module, "CHUNK", 3)
    X, y = load_digits(return_X_y=True)
    model = LossClassifier(Loss("cut_cross_entropy", **params), max_epochs=15, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95


def test_very_many_classes_are_predicted_without_all_scores_at_once():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 4)).astype(np.float32), np.arange(300)
    model = LossClassifier("cut_cross_entropy", hidden_layer_sizes=(8,), max_epochs=1, random_state=0)
    model.partial_fit(X, y, classes=np.arange(50_000))
    assert model.predict(X[:20]).shape == (20,)
    sizes = []
    model.net_.map_output(np.repeat(X, 2, axis=0), lambda output: sizes.append(output.numel()) or output[:, 0].numpy())
    assert max(sizes) <= 1 << 19
