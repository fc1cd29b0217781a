"""Values and slopes written together, against the formulas in plain torch and their gradients by autograd."""

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.functional import asymmetric
from sklearnloss.functional import with_slope as module
from sklearnloss.functional.with_slope import with_slope
from sklearnloss.losses.binary import bce, dsc, reject_fixed
from sklearnloss.losses.multiclass import aldr, asl_single, elr, kd, multiclass_dsc, spherical_softmax, taylor_softmax
from sklearnloss.losses.multilabel import boostlu, decoupled_softmax, em_apl

ASL = {"gamma_neg": 4.0, "gamma_pos": 1.0, "shift": 0.05, "detach_focal": False}
DSC = {"gamma": 0.3, "smooth": 1.0, "squared": True, "detach_weight": True}
SINGLE = {"gamma_neg": 4.0, "gamma_pos": 0.0, "smoothing": 0.1}
OF_SCORES = [
    *[(asymmetric, ASL | change) for change in ({}, {"detach_focal": True}, {"shift": 0.0}, {"gamma_neg": 0.0})],
    (asymmetric, {"gamma_neg": 0.5, "gamma_pos": 0.3, "shift": 0.0, "detach_focal": False}),
    (asymmetric, {"gamma_neg": 0.0, "gamma_pos": 0.0, "shift": 0.0, "detach_focal": True}),
    *[(dsc, DSC | change) for change in ({}, {"squared": False}, {"detach_weight": False}, {"gamma": 0.0})],
    (dsc, {"gamma": 2.0, "smooth": 0.1, "squared": False, "detach_weight": False}),
    *[(bce, {"pos_weight": weight}) for weight in (1.0, 3.0)],
    *[(reject_fixed, {"cost": 0.05, "alpha": 2.0}), (reject_fixed, {"cost": 0.4, "alpha": 0.7})],
    *[(boostlu, {"boost": boost}) for boost in (1.0, 5.0)],
    *[(em_apl, {"alpha": alpha, "beta": beta}) for alpha, beta in ((0.1, 0.2), (0.0, 1.0))],
]
OF_ROWS = [
    *[(aldr, {"margin": 1.0, "normalize": normalize}) for normalize in (True, False)],
    *[(asl_single, SINGLE | change) for change in ({}, {"gamma_pos": 2.0}, {"gamma_neg": 0.0}, {"smoothing": 0.0})],
    *[(decoupled_softmax, {"tau": tau}) for tau in (1.0, 0.3)],
    (elr, {"weight": 3.0, "average": torch.softmax(torch.arange(60.0, dtype=torch.float64).sin().view(12, 5), 1)}),
    *[(kd, {"tau": tau, "alpha": alpha}) for tau, alpha in ((2.0, 0.5), (1.0, 1.0), (4.0, 0.0))],
    *[(multiclass_dsc, DSC | change) for change in ({}, {"squared": False}, {"detach_weight": False}, {"gamma": 0.0})],
    *[(spherical_softmax, {"eps": eps}) for eps in (1e-3, 1.0)],
    *[(taylor_softmax, {"order": order}) for order in (2, 4, 6)],
]
CASES = OF_SCORES + OF_ROWS


def batch(dtype=torch.float64):
    """Return scores and labels, among them scores of zero and of 200 on both sides."""
    generator = torch.Generator().manual_seed(0)
    scores = 4 * torch.randn(12, 5, generator=generator, dtype=torch.float64)
    scores[0], scores[1] = (
        torch.tensor([0.0, 200.0, -200.0, 20.0, -20.0]),
        torch.tensor([0.0, 200.0, -200.0, 90.0, -90.0]),
    )
    y = torch.randint(2, (12, 5), generator=generator).double()
    y[0], y[1] = 0, 1
    return scores.to(dtype).requires_grad_(), y.to(dtype)


def given(loss, fixed, dtype=torch.float64):
    """Return what `with_slope` takes for a loss: scores, what else each row has, and how it is called."""
    scores, y = batch(dtype)
    fixed = {name: v.to(dtype) if isinstance(v, torch.Tensor) else v for name, v in fixed.items()}
    if loss not in {case[0] for case in OF_ROWS}:
        beside = []
        if loss is em_apl:  # two columns of unknown labels, one of them with pseudo-labels
            unknown = (1 - y) * torch.tensor([0, 0, 0, 1, 1], dtype=dtype)
            beside = [unknown, torch.where(torch.arange(5) == 4, 0.3, -1.0).to(dtype).expand(12, 5)]
        return scores, [y, *beside], {"of": "score"} | fixed
    if loss is not decoupled_softmax:
        y = torch.tensor([1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2])
    beside = {
        aldr: [torch.linspace(0.5, 2, 12, dtype=dtype)],
        elr: [torch.arange(12).flip(0)],
        kd: [scores.detach().roll(1, 0).clamp(-9, 9)],
    }
    return scores, [y, *beside.get(loss, [])], {"of": "row"} | fixed


def of(loss, scores, rows, how):
    return with_slope(loss._formula, loss._written, scores, *rows, **how)


def plainly(loss, scores, rows, how):
    return loss._formula(scores, *rows, **{name: v for name, v in how.items() if name != "of"})


def value_and_slope(values, scores):
    return values.detach(), torch.autograd.grad(values.sum(), scores)[0]


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of five rows, the last of two."""
    monkeypatch.setattr(module, "BLOCK", 25)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("loss", "fixed"), CASES)
def test_what_is_written_is_the_formula_and_its_gradient(loss, fixed, dtype):
    scores, rows, how = given(loss, fixed, dtype)
    ours = value_and_slope(of(loss, scores, rows, how), scores)
    wanted = value_and_slope(plainly(loss, scores, rows, how), scores)
    exact = dtype == torch.float64
    assert_close(ours, wanted, rtol=1e-10 if exact else 2e-4, atol=1e-14 if exact else 1e-6)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("loss", "fixed"), CASES)
def test_each_row_gets_its_own_share_of_the_gradient(loss, fixed):
    scores, rows, how = given(loss, fixed)
    weight = torch.linspace(-1, 2, 12, dtype=torch.float64)
    ours, wanted = (
        torch.autograd.grad((weight.view(-1, *[1] * (v.ndim - 1)) * v).sum(), scores)[0]
        for v in (of(loss, scores, rows, how), plainly(loss, scores, rows, how))
    )
    assert_close(ours, wanted, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("loss", "fixed"), CASES)
def test_hyperparameters_may_be_tensors(loss, fixed):
    scores, rows, how = given(loss, fixed)
    tensors = {k: torch.tensor(v, dtype=torch.float64) if isinstance(v, float) else v for k, v in how.items()}
    assert_close(*(value_and_slope(of(loss, scores, rows, way), scores) for way in (tensors, how)))


@pytest.mark.parametrize(("loss", "fixed"), CASES)
def test_the_value_without_a_gradient_is_the_same(loss, fixed):
    scores, rows, how = given(loss, fixed)
    assert_close(of(loss, scores.detach(), rows, how), of(loss, scores, rows, how).detach(), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    ("loss", "fixed"), [(asymmetric, ASL), (dsc, DSC | {"detach_weight": False}), (kd, {"tau": 2.0, "alpha": 0.5})]
)
def test_has_second_derivatives(loss, fixed):
    scores, rows, how = given(loss, fixed)
    ours, wanted = (
        torch.autograd.grad(torch.autograd.grad(v[2:].sum(), scores, create_graph=True)[0].square().sum(), scores)[0]
        for v in (of(loss, scores, rows, how), plainly(loss, scores, rows, how))
    )
    assert ours.abs().max() > 0
    assert_close(ours, wanted)


@pytest.mark.parametrize(("loss", "fixed"), [(asymmetric, ASL), (dsc, DSC), (taylor_softmax, {"order": 2})])
def test_vmap_equals_a_loop(loss, fixed):
    scores, (y,), how = given(loss, fixed)

    def value(scores, y):
        return of(loss, scores[None], [y[None]], how).sum()

    wanted = torch.stack([torch.autograd.grad(value(s, t), s)[0] for s, t in zip(scores, y, strict=True)])
    assert_close(torch.func.vmap(torch.func.grad(value))(scores.detach(), y), wanted)


def test_a_hyperparameter_has_a_gradient():
    scores, y = batch()
    shift = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
    values = with_slope(asymmetric._formula, asymmetric._written, scores, y, **ASL | {"shift": shift})
    (slope,) = torch.autograd.grad(values.sum(), shift)
    ends = [asymmetric._formula(scores, y, **ASL | {"shift": 0.05 + h}).sum().item() for h in (1e-6, -1e-6)]
    assert slope.item() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (1,), (1, 1)])
def test_takes_few_scores(shape):
    scores = torch.zeros(shape, requires_grad=True)
    values = with_slope(dsc._formula, dsc._written, scores, torch.zeros(shape), **DSC)
    assert values.shape == shape
    assert torch.autograd.grad(values.sum(), scores)[0].shape == shape


def test_keeps_the_slopes_for_the_gradient_beside_scores_and_labels():
    scores, y = batch()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        asymmetric.asymmetric(scores, y, **ASL)
    assert [t.shape for t in kept] == [scores.shape] * 3


@pytest.mark.parametrize(("loss", "fixed"), CASES)
def test_scores_may_have_fewer_digits_than_what_is_beside_them(loss, fixed):
    _, rows, how = given(loss, fixed, torch.float32)
    scores = batch(torch.bfloat16)[0]
    taken = [row.bfloat16() if loss is decoupled_softmax else row for row in rows]  # as it does itself
    values = of(loss, scores, taken, how)
    assert values.dtype == plainly(loss, scores, taken, how).dtype
    exact = scores.detach().float().requires_grad_()
    wanted, slope = value_and_slope(plainly(loss, exact, rows, how), exact)
    found = torch.autograd.grad(values.sum(), scores)[0]
    assert found.dtype == torch.bfloat16
    assert_close(values.detach().float(), wanted, rtol=0.05, atol=0.05)
    assert_close(found.float(), slope, rtol=0.1, atol=0.15)
