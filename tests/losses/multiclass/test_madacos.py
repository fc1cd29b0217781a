import math
import statistics

import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy, one_hot
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier, MetricEmbedder
from sklearnloss.losses.multiclass.madacos import MadaCos


def built(**params):
    return MadaCos(**params).double()


def tuned(cosines, y, alpha, competitors, min_scale, rivals):
    """Scale, margin and median in plain Python."""
    rows = list(zip(cosines.tolist(), y.tolist(), strict=True))
    median = statistics.median_low(row[label] for row, label in rows)
    scale = max(min_scale, math.log(competitors * (1 - alpha) / alpha) / max(1 - median, 1e-3))
    # relative to the exponential of a cosine of one, which a float may not hold
    sums = [sum(math.exp(scale * (c - 1)) for j, c in enumerate(row) if j != label) for row, label in rows]
    (at,) = (i for i, (row, label) in enumerate(rows) if row[label] == median)
    found = {"median_row": sums[at], "median": statistics.median_low(sums), "mean": statistics.fmean(sums)}[rivals]
    return scale, max(0.0, median - 1 - math.log(found * alpha / (1 - alpha)) / scale), median


@pytest.fixture
def near(sphere, cosine):
    """Cosines of rows near their proxies, and labels."""
    embeddings, proxies, y = sphere()
    return cosine(embeddings + 20 * torch.nn.functional.normalize(proxies, dim=1)[y], proxies), y


@pytest.mark.parametrize("rivals", ["median_row", "median", "mean"])
@pytest.mark.parametrize(("alpha", "competitors", "min_scale"), [(0.1, 9999999.0, 32.0), (0.02, 3.0, 4.0), (0.5, 3, 8)])
def test_equals_the_formula_in_plain_loops(near, loops, alpha, competitors, min_scale, rivals):
    cosines, y = near
    loss = built(alpha=alpha, competitors=competitors, min_scale=min_scale, rivals=rivals)
    scale, margin, median = tuned(cosines, y, alpha, competitors, min_scale, rivals)
    assert margin > 0
    assert_close(loss(cosines, y), loops(cosines, y, scale, lambda c, i: c - margin))
    assert (loss.scale.item(), loss.margin.item(), loss.median.item()) == pytest.approx((scale, margin, median))


@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.4])
def test_the_median_row_keeps_the_probability_alpha(near, alpha):
    cosines, y = near
    loss = built(alpha=alpha)
    values = loss(cosines, y)
    assert loss.margin > 0
    at = (cosines.gather(1, y[:, None]).squeeze(1) - loss.median).abs().argmin()
    assert math.exp(-values[at].item()) == pytest.approx(alpha)


def test_gives_the_worked_scale():
    loss = built(alpha=0.1, competitors=9999999, min_scale=32.0)
    loss(torch.tensor([[0.5, 0.1, -0.3]], dtype=torch.float64), torch.tensor([0]))
    assert loss.scale.item() == pytest.approx(36.63, abs=0.005)


def test_without_a_number_it_takes_that_of_the_other_classes():
    cosines, y = torch.tensor([[0.9, 0.1, -0.3, 0.0]], dtype=torch.float64), torch.tensor([0])
    one, other = built(min_scale=1.0), built(min_scale=1.0, competitors=3)
    assert_close(one(cosines, y), other(cosines, y))
    assert one.scale.item() == pytest.approx(math.log(3 * 9) / 0.1)


def test_the_scale_rises_with_the_median_and_ends_where_rows_are_on_their_proxies():
    scales = []
    for true in (-0.5, 0.0, 0.5, 0.9, 0.99, 0.9999, 1.0):
        loss = built()
        loss(torch.tensor([[true, 0.1]], dtype=torch.float64), torch.tensor([0]))
        scales.append(loss.scale.item())
    assert scales == sorted(scales)
    assert scales[0] == 16.0  # the least
    assert scales[-1] == scales[-2] == pytest.approx(math.log(9) / 1e-3)


def test_is_the_scaled_softmax_where_there_is_no_margin():
    # the median row has less than alpha as it is
    cosines, y = torch.tensor([[-0.5, 0.9, 0.3], [0.2, -0.4, 0.8]], dtype=torch.float64), torch.tensor([0, 1])
    loss = built()
    values = loss(cosines, y)
    assert loss.margin == 0
    assert_close(values, cross_entropy(16 * cosines, y, reduction="none"))


def test_has_the_gradient_at_a_fixed_scale_and_margin(near):
    cosines, y = near
    cosines.requires_grad_()
    loss = built()
    loss(cosines, y).sum().backward()
    hot = one_hot(y, 4)
    proba = torch.softmax(loss.scale * (cosines.detach() - loss.margin * hot), 1)
    assert_close(cosines.grad, loss.scale * (proba - hot))


def test_evaluation_has_no_margin_and_leaves_the_scale(near):
    loss = built()
    loss(*near)
    scale = loss.scale.clone()
    cosines, y = near[0][:3], near[1][:3]
    again = built(min_scale=1.0).eval()
    found = again(cosines, y)
    wanted, _, _ = tuned(cosines, y, 0.1, 3, 1.0, "median_row")
    assert_close(found, cross_entropy(wanted * cosines, y, reduction="none"))
    assert again.scale == 1.0
    loss.eval()(cosines, y)
    assert loss.scale == scale
    assert_close(loss.proba(cosines), torch.softmax(scale * cosines, 1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_no_scale_overflows(dtype):
    cosines = torch.tensor([[1.0, 1.0, -1.0], [1.0, -1.0, 0.99]], dtype=dtype, requires_grad=True)
    values = MadaCos(competitors=1e7)(cosines, torch.tensor([0, 0]))
    values.sum().backward()
    assert values.dtype == dtype
    assert values.isfinite().all()
    assert cosines.grad.isfinite().all()


def test_trains_by_name_and_predicts_by_the_last_scale():
    X, y = load_digits(return_X_y=True)
    model = LossClassifier(Loss("madacos", min_scale=4.0), max_epochs=10, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.93
    scale = model.net_.criterion_.terms[0].modules_[0].scale
    assert scale > 5
    wanted = torch.softmax(scale * torch.as_tensor(model.decision_function(X)), 1)
    assert_close(torch.as_tensor(model.predict_proba(X)), wanted)


def test_trains_an_embedding_by_name():
    X, y = load_digits(return_X_y=True)
    model = MetricEmbedder("madacos", embedding_dim=16, max_epochs=6, random_state=0).fit(X[::2], y[::2])
    assert model.score(X[1::2], y[1::2]) > 0.9
