import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import LossClassifier, load
from sklearnloss.exceptions import TaskError
from sklearnloss.losses.multiclass.coral import RankConsistent

SCORES, Y = torch.tensor([[-1.3], [-0.2], [0.1], [0.7], [2.0]], dtype=torch.float64), torch.tensor([0, 1, 3, 2, 3])


def made(*biases):
    coral = RankConsistent(n_classes=len(biases) + 1).double()
    coral.biases.data.copy_(torch.tensor(biases))
    return coral


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def naive(scores, y, biases):
    values = []
    for s, label in zip(scores.flatten().tolist(), y.tolist(), strict=True):
        q = [sigmoid(s + b) for b in biases]
        values.append(-sum(math.log(p if label >= j else 1 - p) for j, p in enumerate(q, start=1)))
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("biases", [(1.1, 0.2, -0.9), (-0.5, 0.0, 0.5), (0.0, 3.0, -3.0)])
def test_equals_the_formula_in_plain_loops_in_whatever_order_the_biases_are(biases):
    assert_close(made(*biases)(SCORES, Y).detach(), naive(SCORES, Y, biases))


@pytest.mark.parametrize(
    ("leads", "label", "wanted"), [([2.1, 1.8, -2.1, -1.8], 2, 0.5370), ([1.9, 1.8, 1.7, 1.6], 4, 0.6441)]
)
def test_agrees_with_the_numbers_of_the_authors_tests(leads, label, wanted):
    value = made(*leads)(torch.zeros(1, 1, dtype=torch.float64), torch.tensor([label]))
    assert value.item() == pytest.approx(wanted, abs=5e-5)


def test_two_classes_give_the_logistic_loss():
    y = torch.tensor([0, 1, 1, 0, 1])
    coral = made(0.4)
    wanted = F.binary_cross_entropy_with_logits(SCORES[:, 0] + 0.4, y.double(), reduction="none")
    assert_close(coral(SCORES, y).detach(), wanted)
    assert_close(coral.proba(SCORES).detach()[:, 1], torch.sigmoid(SCORES[:, 0] + 0.4))


def test_equal_biases_count_the_levels_and_leave_nothing_between_the_ends():
    coral = made(0.3, 0.3, 0.3)
    q = torch.sigmoid(SCORES[:, 0] + 0.3)
    wanted = -(Y * q.log() + (3 - Y) * (1 - q).log())
    assert_close(coral(SCORES, Y).detach(), wanted)
    nothing = torch.zeros_like(q)
    assert_close(coral.proba(SCORES).detach(), torch.stack([1 - q, nothing, nothing, q], dim=1))


def test_probabilities_are_differences_of_those_of_the_levels():
    wanted = []
    for s in SCORES.flatten().tolist():
        q = [1.0, *(sigmoid(s + b) for b in (1.1, 0.2, -0.9)), 0.0]
        wanted.append([q[j] - q[j + 1] for j in range(4)])
    wanted = torch.tensor(wanted, dtype=torch.float64)
    assert_close(made(1.1, 0.2, -0.9).proba(SCORES).detach(), wanted)
    assert_close(made(0.2, -0.9, 1.1).proba(SCORES).detach(), wanted)  # biases that are not in order yet are sorted


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_probabilities_are_never_negative_and_sum_to_one(dtype):
    scores = torch.linspace(-200, 200, 4001, dtype=dtype)[:, None]
    for biases in ((5.0, 5.0, 1e-7, 0.0), (-90.0, 3.0, 90.0, 0.1)):
        proba = made(*biases).to(dtype).proba(scores).detach()
        assert (proba >= 0).all()
        assert_close(proba.sum(1), torch.ones(4001, dtype=dtype))


def test_ranks_are_consistent_for_all_rows():
    coral = made(1.1, 0.2, -0.9)
    below = coral.proba(torch.linspace(-9, 9, 500, dtype=torch.float64)[:, None]).detach().cumsum(1)
    assert (below.diff(dim=0)[:, :-1] < 0).all()  # a higher score moves every level up


def test_starts_where_classes_are_equally_likely_at_score_zero():
    assert_close(RankConsistent(n_classes=5).proba(torch.zeros(1, 1)).detach(), torch.full((1, 5), 0.2))


def test_the_least_loss_at_one_score_has_the_log_odds_of_the_levels_as_biases():
    y = torch.tensor([0] * 4 + [1] * 3 + [2] * 1 + [3] * 2)
    above = torch.tensor([0.6, 0.3, 0.2], dtype=torch.float64)
    coral = made(*above.logit().tolist())
    (gradient,) = torch.autograd.grad(coral(torch.zeros(10, 1, dtype=torch.float64), y).sum(), [coral.biases])
    assert_close(gradient, torch.zeros(3, dtype=torch.float64), atol=1e-6, rtol=0)
    shares = torch.tensor([[0.4, 0.3, 0.1, 0.2]], dtype=torch.float64)
    assert_close(coral.proba(torch.zeros(1, 1, dtype=torch.float64)).detach(), shares, atol=1e-6, rtol=0)


def test_the_expected_loss_is_least_at_its_own_probabilities():
    coral = made(1.1, 0.2, -0.9)
    leaf = torch.full((4, 1), 0.4, dtype=torch.float64, requires_grad=True)
    truth = coral.proba(leaf[:1].detach())[0].detach()
    by_score, by_biases = torch.autograd.grad((truth * coral(leaf, torch.arange(4))).sum(), [leaf, coral.biases])
    assert_close(by_score.sum(), torch.zeros((), dtype=torch.float64))
    assert_close(by_biases, torch.zeros(3, dtype=torch.float64))
    assert by_score.abs().max() > 0.1


def test_setting_two_rising_biases_equal_lowers_the_loss():
    """Check the paper's lemma, by which the biases fall where the loss is least."""
    before = made(1.0, -0.5, 0.5)(SCORES, Y).sum()
    assert min(made(1.0, b, b)(SCORES, Y).sum() for b in (-0.5, 0.5)) < before


def test_training_puts_biases_in_order_that_began_the_wrong_way_round():
    X, t = load_diabetes(return_X_y=True)
    scores = torch.from_numpy(X[:, [2]] / 0.05)
    y = torch.from_numpy(np.digitize(t, np.quantile(t, [0.2, 0.4, 0.6, 0.8])))
    coral = made(-1.0, 0.0, 1.0, 2.0)
    optimizer = torch.optim.LBFGS(coral.parameters(), line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        value = coral(scores, y).mean()
        value.backward()
        return value

    optimizer.step(closure)
    assert (coral.biases.diff() < -0.5).all()


def test_gradient_is_that_of_the_value_for_score_and_biases():
    coral = made(1.1, 0.2, -0.9)

    def value(scores, biases):
        return torch.func.functional_call(coral, {"biases": biases}, (scores, Y))

    leaves = [t.detach().clone().requires_grad_() for t in (SCORES, coral.biases)]
    assert torch.autograd.gradcheck(value, leaves)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_value_and_gradient_are_finite_for_large_scores(dtype):
    leaf = torch.tensor([[200.0], [-200.0], [200.0]], dtype=dtype, requires_grad=True)
    value = made(0.5, 0.0, -0.5).to(dtype)(leaf, torch.tensor([0, 3, 3]))
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert value.dtype == dtype
    assert_close(value.detach(), torch.tensor([600.0, 600.0, 0.0], dtype=dtype))
    assert gradient.isfinite().all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_estimator_learns_one_score_and_biases_that_fall(seed, tmp_path):
    X, t = load_diabetes(return_X_y=True)
    y = np.digitize(t, np.quantile(t, [0.2, 0.4, 0.6, 0.8]))
    model = LossClassifier("coral", max_epochs=5, lr=5e-3, loss_lr=5, random_state=seed).fit(X, y)
    assert model.net_.module_.head.out_features == 1
    (biases,) = (p for name, p in model.net_.criterion_.named_parameters() if name.endswith("biases"))
    assert (biases.diff() < 0).all()
    assert not torch.equal(biases, RankConsistent(n_classes=5).biases.double())
    assert model.predict_proba(X).shape == (442, 5)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").predict_proba(X), model.predict_proba(X))


def test_two_classes_have_one_score_whose_sign_decides():
    X, t = load_diabetes(return_X_y=True)
    y = np.where(t > 150, "low", "high")  # in an order that is not that of the alphabet
    model = LossClassifier("coral", class_order=["low", "high"], max_epochs=10, lr=5e-3, random_state=0).fit(X, y)
    scores = model.decision_function(X)
    assert scores.shape == (442,)
    np.testing.assert_array_equal(np.where(scores > 0, "low", "high"), model.predict(X))
    assert model.score(X, y) > 0.7
    with pytest.raises(TaskError, match=r"^loss 'coral' needs classes with an order; give class_order=\[lowest, "):
        LossClassifier("coral").fit(X, y)
