import math

import pytest
import torch
from sklearn.datasets import make_classification, make_multilabel_classification
from sklearn.metrics import roc_auc_score
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.binary.mann_whitney import mann_whitney

SURROGATES = {
    "logistic": lambda t: math.log1p(math.exp(-t)),
    "squared_hinge": lambda t: max(1 - t, 0.0) ** 2,
    "hinge": lambda t: max(1 - t, 0.0),
    "squared": lambda t: (1 - t) ** 2,
}
FIVE = torch.tensor([1.0, 0.0, 0.0, -1.0, 2.0], dtype=torch.float64), torch.tensor([1.0, 1, 0, 0, 0]).double()


def batch(n=40, share=0.3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = (torch.arange(n) < share * n).double()
    return (2 * (torch.randn(n, generator=generator, dtype=torch.float64) + y)).round() / 2, y


def in_loops(scores, y, surrogate, tau=1.0, weight=None):
    rows = list(zip(scores.tolist(), y.tolist(), [1.0] * len(y) if weight is None else weight.tolist(), strict=True))
    pairs = [(s - r, u * v) for s, label, u in rows if label for r, other, v in rows if not other]
    return sum(w * SURROGATES[surrogate](t / tau) for t, w in pairs) / sum(w for _, w in pairs)


def area_above(scores, y):
    return 1 - roc_auc_score(y.numpy(), scores.numpy())


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("tau", [0.5, 1.0, 3.0])
def test_equals_the_formula_in_plain_loops(surrogate, tau):
    scores, y = batch()
    weight = torch.arange(len(y)).double() % 3
    given = {"surrogate": surrogate, "tau": tau}
    assert mann_whitney(scores, y, **given).item() == pytest.approx(in_loops(scores, y, surrogate, tau))
    found = mann_whitney(scores, y, sample_weight=weight, **given)
    assert found.item() == pytest.approx(in_loops(scores, y, surrogate, tau, weight))


def test_gives_the_worked_numbers():
    value = mann_whitney(*FIVE).item()
    assert value == pytest.approx(0.8144647, abs=1e-7)
    assert area_above(*FIVE) == pytest.approx(0.4166667, abs=1e-7)
    assert value / math.log(2) == pytest.approx(1.17503, abs=1e-5)


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("seed", range(3))
def test_bounds_the_area_above_the_curve_in_which_ties_count_half(surrogate, seed):
    scores, y = batch(seed=seed)
    assert len(scores.unique()) < len(scores)
    bound = mann_whitney(scores, y, surrogate=surrogate).item() / (math.log(2) if surrogate == "logistic" else 1)
    assert area_above(scores, y) <= bound


def test_is_the_cross_entropy_of_the_differences():
    scores, y = batch()
    difference = scores[y == 1][:, None] - scores[y == 0]
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(difference, torch.ones_like(difference))
    assert_close(mann_whitney(scores, y), wanted)


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_a_constant_added_to_all_scores_changes_nothing(surrogate):
    scores, y = batch()
    assert_close(mann_whitney(scores + 1000, y, surrogate=surrogate), mann_whitney(scores, y, surrogate=surrogate))


@pytest.mark.parametrize(("surrogate", "value"), [("logistic", math.log(2)), ("squared_hinge", 1), ("hinge", 1)])
def test_equal_scores_have_the_value_of_no_lead(surrogate, value):
    assert mann_whitney(torch.full((6,), 7.0), torch.tensor([1.0, 1, 0, 0, 0, 0]), surrogate=surrogate) == (
        pytest.approx(value)
    )


def test_a_small_temperature_leaves_the_sum_of_wrong_leads():
    scores, y = batch()
    lead = scores[y == 1][:, None] - scores[y == 0]
    assert_close(1e-4 * mann_whitney(scores, y, tau=1e-4), (-lead).relu().mean(), rtol=1e-3, atol=1e-4)
    assert_close(mann_whitney(scores, y, tau=1e6), torch.tensor(math.log(2), dtype=torch.float64), rtol=1e-5, atol=0)


def test_a_hinge_vanishes_where_all_lead_by_tau():
    scores, y = torch.tensor([3.0, 2.5, 0.5, -1.0], requires_grad=True), torch.tensor([1.0, 1, 0, 0])
    for surrogate in ("hinge", "squared_hinge"):
        value = mann_whitney(scores, y, surrogate=surrogate, tau=2.0)
        assert value == 0
        assert (torch.autograd.grad(value, scores)[0] == 0).all()
    assert mann_whitney(scores, y, surrogate="squared", tau=2.0) > 0


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize("n", [1, 4])
def test_a_missing_class_gives_zero_with_a_valid_gradient(surrogate, label, n):
    scores = torch.linspace(-200, 200, n, requires_grad=True)
    value = mann_whitney(scores, torch.full((n,), label), surrogate=surrogate)
    value.backward()
    assert value == 0
    assert (scores.grad == 0).all()


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_a_weight_is_a_repetition(surrogate):
    scores, y = batch()
    weight = torch.arange(len(y)) % 3
    repeated = scores.repeat_interleave(weight), y.repeat_interleave(weight)
    assert_close(
        mann_whitney(scores, y, surrogate=surrogate, sample_weight=weight.double()),
        mann_whitney(*repeated, surrogate=surrogate),
    )


def test_as_a_loss_for_retrieval_it_pools_the_pairs_of_all_queries():
    generator = torch.Generator().manual_seed(0)
    similarity = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    own = torch.eye(5, dtype=torch.float64)
    moved = similarity + torch.tensor([[3.0], [0.0], [0.0], [-2.0], [0.0]])  # a constant for each query

    def pooled(matrix):
        return mann_whitney(matrix.flatten(), own.flatten())

    def contrastive(matrix):
        return torch.nn.functional.cross_entropy(matrix, torch.arange(5))

    pairs = similarity.diag()[:, None] - similarity[own == 0]
    assert_close(pooled(similarity), torch.nn.functional.softplus(-pairs).mean())
    assert_close(contrastive(moved), contrastive(similarity))
    assert (pooled(moved) - pooled(similarity)).abs() > 0.1


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_finite_at_wild_scores(surrogate, dtype):
    scores = torch.tensor([-200.0, 200.0, 0.0, 200.0, -200.0, 20.0], dtype=dtype, requires_grad=True)
    y = torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 0.0], dtype=dtype)
    value = mann_whitney(scores, y, surrogate=surrogate)
    value.backward()
    assert value.dtype == dtype
    assert value.isfinite()
    assert value > 0
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_has_the_gradient_of_its_value(surrogate):
    scores, y = batch(12)
    scores = scores + 0.013 * torch.arange(12)  # no lead is one
    weight = torch.linspace(0.5, 2, 12, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda s: mann_whitney(s, y, surrogate=surrogate, tau=0.7, sample_weight=weight), scores.requires_grad_()
    )


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_takes_the_temperature_as_a_tensor(surrogate):
    tau = torch.tensor(0.5, dtype=torch.float64)
    assert_close(
        mann_whitney(*batch(), surrogate=surrogate, tau=tau), mann_whitney(*batch(), surrogate=surrogate, tau=0.5)
    )


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_orders_rare_positives_by_name(surrogate):
    X, y = make_classification(600, weights=[0.95], class_sep=1.5, random_state=0)
    model = LossClassifier(loss=Loss("mann_whitney", surrogate=surrogate), max_epochs=15, random_state=0).fit(X, y)
    assert roc_auc_score(y, model.decision_function(X)) > 0.95
    assert not hasattr(model, "predict_proba")


def test_calibration_gives_probabilities():
    X, y = make_classification(600, weights=[0.8], class_sep=1.5, random_state=0)
    model = LossClassifier(loss="mann_whitney", calibrate="sigmoid", max_epochs=15, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.9
    assert model.predict_proba(X)[:, 1].mean() == pytest.approx(y.mean(), abs=0.05)


def test_several_labels_are_ordered_one_by_one():
    X, y = make_multilabel_classification(200, n_classes=4, random_state=0)
    model = LossClassifier(loss="mann_whitney", max_epochs=15, random_state=0).fit(X, y)
    assert roc_auc_score(y, model.decision_function(X)) > 0.85


def test_trains_with_weights():
    X, y = make_classification(400, weights=[0.9], class_sep=1.5, random_state=0)
    model = LossClassifier(loss="mann_whitney", max_epochs=15, random_state=0)
    assert roc_auc_score(y, model.fit(X, y, sample_weight=1.0 + y).decision_function(X)) > 0.95


@pytest.mark.parametrize("seed", range(3))
def test_with_its_sampler_it_orders_rare_positives_better_than_cross_entropy_without(seed):
    X, y = make_classification(1500, n_informative=6, weights=[0.95], flip_y=0.02, random_state=seed)
    areas = [
        roc_auc_score(y[750:], model.fit(X[:750], y[:750]).decision_function(X[750:]))
        for model in (LossClassifier(loss=name, max_epochs=10, random_state=0) for name in ("mann_whitney", "bce"))
    ]
    assert areas[0] > areas[1]
