import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.optimize import minimize
from scipy.special import expit, ndtr
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV, train_test_split
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier, load
from sklearnloss.exceptions import TaskError
from sklearnloss.losses.multiclass.cumulative_link import CumulativeLink

LINKS = ["logit", "probit", "cloglog"]
CDF = {
    "logit": lambda x: 1 / (1 + math.exp(-x)),
    "probit": stats.norm.cdf,
    "cloglog": lambda x: 1 - math.exp(-math.exp(x)),
}
SCORES, Y = torch.tensor([[-1.3], [-0.2], [0.1], [0.7], [2.0]], dtype=torch.float64), torch.tensor([0, 1, 3, 2, 3])
CUTS = (-0.9, 0.2, 0.5)


def made(link="logit", cuts=CUTS):
    """Return the loss with these thresholds."""
    loss = CumulativeLink(n_classes=len(cuts) + 1, link=link).double()
    loss.lowest.data.fill_(cuts[0])
    loss.gaps.data.copy_(torch.tensor([math.log(math.expm1(gap)) for gap in np.diff(cuts)]))
    return loss


def quintiles():
    X, t = load_diabetes(return_X_y=True)
    return X, np.digitize(t, np.quantile(t, [0.2, 0.4, 0.6, 0.8]))


# -- the formula ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", LINKS)
def test_probabilities_and_value_are_those_of_intervals_in_plain_loops(link):
    proba = []
    for score in SCORES.flatten().tolist():
        below = [0.0, *(CDF[link](cut - score) for cut in CUTS), 1.0]
        proba.append([below[j + 1] - below[j] for j in range(4)])
    proba = torch.tensor(proba, dtype=torch.float64)
    assert_close(made(link).proba(SCORES).detach(), proba, rtol=1e-6, atol=0)
    assert_close(made(link)(SCORES, Y).detach(), -proba[torch.arange(5), Y].log(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("link", LINKS)
def test_two_classes_are_a_binary_model(link):
    y = torch.tensor([0, 1, 1, 0, 1])
    x = 0.4 - SCORES[:, 0]
    wanted = {
        "logit": F.binary_cross_entropy_with_logits(-x, y.double(), reduction="none"),
        "probit": -torch.from_numpy(stats.norm.logcdf(torch.where(y == 0, x, -x))),
        "cloglog": torch.where(y == 0, -(1 - (-x.exp()).exp()).log(), x.exp()),
    }
    assert_close(made(link, [0.4])(SCORES, y).detach(), wanted[link], rtol=1e-6, atol=1e-7)


def test_proportional_odds_are_proportional():
    above = 1 - made().proba(SCORES).detach().cumsum(1)[:, :3]
    assert_close(above.logit().diff(dim=0), SCORES.diff(dim=0).expand(4, 3), rtol=1e-6, atol=0)


def test_cloglog_has_proportional_hazards():
    """Check that the logarithms of the survival to each threshold are multiples of each other from row to row."""
    survival = 1 - made("cloglog").proba(SCORES).detach().cumsum(1)[:, :3]
    ratio = survival[1:].log() / survival[:-1].log()
    assert_close(ratio, SCORES.diff(dim=0).neg().exp().expand(4, 3), rtol=1e-6, atol=0)


@pytest.mark.parametrize(("link", "symmetric"), [("logit", True), ("probit", True), ("cloglog", False)])
def test_reversed_classes_are_the_same_model_if_the_noise_is_symmetric(link, symmetric):
    turned = made(link, [-cut for cut in reversed(CUTS)])(-SCORES, 3 - Y)
    assert torch.allclose(turned, made(link)(SCORES, Y), rtol=1e-6) == symmetric


def test_shifting_score_and_thresholds_together_changes_nothing():
    assert_close(made(cuts=[cut + 3 for cut in CUTS])(SCORES + 3, Y), made()(SCORES, Y), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("link", LINKS)
def test_starts_where_classes_are_equally_likely_at_score_zero(link):
    loss = CumulativeLink(n_classes=6, link=link)
    assert_close(loss.proba(torch.zeros(1, 1)).detach(), torch.full((1, 6), 1 / 6))


@pytest.mark.parametrize("link", LINKS)
def test_the_expected_loss_is_least_at_its_own_probabilities(link):
    loss = made(link)
    leaf = torch.full((4, 1), 0.4, dtype=torch.float64, requires_grad=True)
    truth = loss.proba(leaf[:1].detach())[0].detach()
    expected = (truth * loss(leaf, torch.arange(4))).sum()
    by_score, *by_cuts = torch.autograd.grad(expected, [leaf, loss.lowest, loss.gaps])
    for gradient in (by_score.sum(), *by_cuts):
        assert_close(gradient, torch.zeros_like(gradient))
    assert by_score.abs().max() > 0.1


@pytest.mark.parametrize("link", LINKS)
def test_gradient_is_that_of_the_value_for_score_and_thresholds(link):
    loss = made(link)

    def value(scores, lowest, gaps):
        return torch.func.functional_call(loss, {"lowest": lowest, "gaps": gaps}, (scores, Y))

    leaves = [t.detach().clone().requires_grad_() for t in (SCORES, loss.lowest, loss.gaps)]
    assert torch.autograd.gradcheck(value, leaves)


# -- far out ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gaps", [[0.5, -1.0], [-300.0, 300.0], [-40.0, -5.0]])
def test_value_gradient_and_probabilities_are_finite_at_both_ends(link, dtype, gaps):
    loss = CumulativeLink(n_classes=4, link=link).to(dtype)
    loss.gaps.data.copy_(torch.tensor(gaps))
    leaf = torch.tensor([[-200.0], [-14.0], [-3.0], [0.0], [3.0], [14.0], [200.0]], dtype=dtype).repeat(4, 1)
    leaf.requires_grad_()
    value = loss(leaf, torch.arange(4).repeat_interleave(7))
    assert value.dtype == dtype
    assert value.isfinite().all()
    assert (value >= 0).all()
    for gradient in torch.autograd.grad(value.sum(), [leaf, loss.lowest, loss.gaps]):
        assert gradient.isfinite().all()
    proba = loss.proba(leaf).detach()
    assert (proba >= 0).all()
    assert_close(proba.sum(1), torch.ones(28, dtype=dtype))


@pytest.mark.parametrize("score", [-200.0, 200.0])
def test_far_out_the_logit_is_linear_in_the_distance_from_the_nearer_threshold(score):
    got = made()(torch.full((2, 1), score).float(), torch.tensor([1, 2])).detach()
    for value, (low, high) in zip(got.tolist(), [(-0.9, 0.2), (0.2, 0.5)], strict=True):
        distance = score - high if score > 0 else low - score
        assert value == pytest.approx(distance - math.log(-math.expm1(low - high)), rel=1e-6)


def log_normal_interval(score, width):
    """Return the logarithm of the normal probability of -score..width - score."""
    if 0 < score < width:
        return math.log(stats.norm.cdf(width - score) - stats.norm.cdf(-score))
    # the density at the nearer end, times an integral over what counts of the interval
    near = min(abs(score), abs(score - width))
    span = min(width, 40 / max(near, 1))
    nodes, weights = np.polynomial.legendre.leggauss(60)
    away = span * (nodes + 1) / 2
    inside = (weights * np.exp(-near * away - away**2 / 2)).sum() * span / 2
    return stats.norm.logpdf(near) + math.log(inside)


@pytest.mark.parametrize("width", [1e-12, 1e-4, 2e-3, 5e-3, 0.1, 3.0, 100.0])
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-5), (torch.float64, 1e-7)])
def test_the_probit_keeps_its_digits_at_any_distance_and_width(width, dtype, rtol):
    loss = made("probit", [0.0, 1.0])
    loss.gaps.data.fill_(math.log(math.expm1(width)))
    width = F.softplus(loss.gaps).item()
    scores = [-200.0, -30.0, -6.0, -1.0, 0.3, 6.0, 30.0, 200.0]
    wanted = torch.tensor([-log_normal_interval(score, width) for score in scores], dtype=dtype)
    got = loss.to(dtype)(torch.tensor(scores, dtype=dtype)[:, None], torch.ones(8, dtype=torch.int64)).detach()
    assert_close(got, wanted, rtol=rtol, atol=rtol)


def test_the_ends_of_the_probit_are_those_of_the_normal_distribution():
    x = torch.linspace(-200, 200, 401, dtype=torch.float64)
    leaf = (-x[:, None]).requires_grad_()
    value = made("probit", [0.0])(leaf, torch.zeros(401, dtype=torch.int64))
    (slope,) = torch.autograd.grad(value.sum(), leaf)
    assert_close(-value.detach().numpy(), stats.norm.logcdf(x.numpy()), rtol=1e-10, atol=1e-12)
    hazard = np.exp(stats.norm.logpdf(x.numpy()) - stats.norm.logcdf(x.numpy()))
    assert_close(slope[:, 0].numpy(), hazard, rtol=1e-9, atol=1e-12)


def test_the_slope_of_the_probit_far_out_is_the_distance_in_single_precision_too():
    leaf = torch.tensor([[3000.0], [-2000.0]], requires_grad=True)
    (slope,) = torch.autograd.grad(made("probit", [0.0]).float()(leaf, torch.tensor([0, 1])).sum(), leaf)
    assert_close(slope, torch.tensor([[3000.0], [-2000.0]]), rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("link", "noise"), [("logit", stats.logistic), ("probit", stats.norm), ("cloglog", stats.gumbel_l)]
)
def test_a_class_that_is_hardly_there_has_the_density_times_its_width(link, noise):
    loss = made(link, [0.3, 1.0])
    loss.gaps.data.fill_(-90.0)
    wanted = 90 - noise.logpdf(0.3 - SCORES[:, 0].numpy())
    assert_close(loss(SCORES, torch.ones(5, dtype=torch.int64)).detach().numpy(), wanted, rtol=1e-6, atol=0)


def test_the_hazard_of_cloglog_goes_on_along_its_tangent():
    at = torch.tensor([[-30.0], [-31.0], [-200.0]], dtype=torch.float64)
    got = made("cloglog", [0.0, 1.0])(at + 1.0, torch.full((3,), 2)).detach()
    wanted = torch.tensor([1.0, 2.0, 171.0], dtype=torch.float64) * math.exp(30)
    assert_close(got, wanted, rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_rare_hit_of_cloglog_is_as_likely_as_its_hazard(dtype):
    got = made("cloglog", [0.0, 1.0]).to(dtype)(torch.tensor([[200.0]] * 2, dtype=dtype), torch.tensor([0, 1]))
    wanted = torch.tensor([200.0, 200 - math.log(math.e - 1)], dtype=dtype)
    assert_close(got.detach(), wanted, rtol=1e-6, atol=0)


# -- in the estimator -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("link", LINKS)
def test_a_linear_network_finds_the_maximum_of_the_likelihood(link):
    X, t = load_diabetes(return_X_y=True)
    X, y = X[:, [2, 3, 8]] / 0.05, np.digitize(t, [90, 140, 220])
    cdf = {"logit": expit, "probit": ndtr, "cloglog": lambda x: -np.expm1(-np.exp(x))}[link]

    def proba(params):
        below = cdf(np.cumsum([params[0], *np.exp(params[1:3])])[None] - X @ params[3:, None])
        return np.diff(np.hstack([np.zeros((442, 1)), below, np.ones((442, 1))]), axis=1)

    best = minimize(lambda p: -np.log(proba(p)[np.arange(442), y]).mean(), np.zeros(6), tol=1e-9)
    how = {"hidden_layer_sizes": (), "standardize": False, "lr": 0.3, "lr_schedule": "cosine", "batch_size": 442}
    model = LossClassifier(Loss("cumulative_link", link=link), **how, max_epochs=150, random_state=0).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), proba(best.x), atol=1e-3)
    np.testing.assert_allclose(model.net_.module_.head.weight.detach()[0], best.x[3:], atol=5e-3)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_errs_less_far_than_cross_entropy_on_ordered_classes(seed):
    X, X_test, y, y_test = train_test_split(*quintiles(), test_size=0.4, stratify=quintiles()[1], random_state=seed)
    how = {"max_epochs": 30, "lr": 1e-2, "loss_lr": 5, "random_state": seed}
    model = LossClassifier("cumulative_link", **how).fit(X, y)
    plain = LossClassifier("cross_entropy", **how).fit(X, y)
    assert np.abs(model.predict(X_test) - y_test).mean() < np.abs(plain.predict(X_test) - y_test).mean()
    rows = np.arange(len(y_test))
    assert model.predict_log_proba(X_test)[rows, y_test].mean() > plain.predict_log_proba(X_test)[rows, y_test].mean()


@pytest.mark.parametrize("link", LINKS)
def test_thresholds_are_in_order_after_training_even_where_a_class_has_no_rows(link):
    X, y = quintiles()
    model = LossClassifier(Loss("ordinal", link=link), max_epochs=8, lr=0.05, loss_lr=20, random_state=0)
    model.partial_fit(X[y != 2], y[y != 2], classes=range(5))
    for _ in range(20):
        model.partial_fit(X[y != 2], y[y != 2])
    (cuts,) = (m.cuts().detach() for m in model.net_.criterion_.modules() if isinstance(m, CumulativeLink))
    assert (cuts.diff() > 0).all()
    assert cuts.diff()[1] < 0.2 * cuts.diff()[[0, 2]].min()  # the class that is never seen
    assert model.predict_proba(X)[:, 2].mean() < 0.05


def test_has_one_score_and_is_found_by_its_other_name_and_by_a_grid(tmp_path):
    X, y = quintiles()
    model = LossClassifier("ordinal", max_epochs=3, random_state=0)
    search = GridSearchCV(model, {"loss__link": ["probit", "cloglog"]}, cv=2).fit(X, y)
    model = search.best_estimator_
    assert model.net_.module_.head.out_features == 1
    assert model.decision_function(X).shape == (442, 5)
    np.testing.assert_array_equal(model.predict(X), model.decision_function(X).argmax(1))
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").predict_proba(X), model.predict_proba(X))


def test_a_weight_of_two_is_a_row_that_comes_twice_and_weights_of_classes_count():
    X, y = quintiles()
    how = {"batch_size": 2000, "max_epochs": 5, "lr": 0.01, "random_state": 0, "standardize": False}
    weights = np.where(y == 4, 2.0, 1.0)
    twice = np.r_[np.arange(442), np.flatnonzero(y == 4)]
    wanted = LossClassifier("cumulative_link", **how).fit(X[twice], y[twice]).predict_proba(X)
    for given in ({"sample_weight": weights}, {}):
        classes = None if given else {0: 1, 1: 1, 2: 1, 3: 1, 4: 2}
        model = LossClassifier("cumulative_link", class_weight=classes, **how).fit(X, y, **given)
        np.testing.assert_allclose(model.predict_proba(X), wanted, rtol=1e-6)


def test_calibrated_probabilities_are_some():
    X, y = quintiles()
    model = LossClassifier("cumulative_link", calibrate="temperature", max_epochs=5, random_state=0).fit(X, y)
    assert_close(model.predict_proba(X).sum(1), np.ones(442))


def test_names_take_the_order_that_is_given_and_are_refused_without_one():
    X, codes = quintiles()
    order = ["none", "mild", "some", "serious", "grave"]
    how = {"max_epochs": 5, "lr": 0.01, "random_state": 0}
    model = LossClassifier("cumulative_link", class_order=order, **how).fit(X, np.array(order)[codes])
    numbers = LossClassifier("cumulative_link", **how).fit(X, codes)
    columns = [model.classes_.tolist().index(name) for name in order]
    np.testing.assert_allclose(model.predict_proba(X)[:, columns], numbers.predict_proba(X))
    with pytest.raises(TaskError, match=r"^loss 'cumulative_link' needs classes with an order; give class_order=\["):
        LossClassifier("cumulative_link").fit(X, np.array(order)[codes])
