import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.metrics import hinge_loss
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.exceptions import ParameterError
from sklearnloss.losses.multiclass.hinge import hinge
from sklearnloss.losses.multiclass.ldr import ldr


@pytest.fixture
def rows():
    generator = torch.Generator().manual_seed(0)
    return 2 * torch.randn(30, 5, generator=generator, dtype=torch.float64), torch.arange(30) % 5


def naive(logits, y, kind, margin):
    values = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        lacks = [max(0.0, margin + z - row[label]) for j, z in enumerate(row) if j != label]
        values.append(max(lacks) if kind == "crammer_singer" else sum(lacks))
    return torch.tensor(values, dtype=logits.dtype)


@pytest.mark.parametrize("kind", ["crammer_singer", "weston_watkins"])
@pytest.mark.parametrize("margin", [0.0, 1.0, 3.0])
def test_equals_the_formula_in_plain_loops(rows, kind, margin):
    assert_close(hinge(*rows, kind=kind, margin=margin), naive(*rows, kind, margin))


@pytest.mark.parametrize("margin", [0.5, 1.0])
def test_weston_watkins_is_k_times_the_multi_margin_loss_of_torch(rows, margin):
    wanted = 5 * F.multi_margin_loss(*rows, margin=margin, reduction="none")
    assert_close(hinge(*rows, kind="weston_watkins", margin=margin), wanted)


def test_crammer_singer_agrees_with_scikit_learn(rows):
    logits, y = rows
    assert float(hinge(logits, y).mean()) == pytest.approx(hinge_loss(y.numpy(), logits.numpy()))


def test_crammer_singer_is_the_limit_of_ldr_at_temperature_zero(rows):
    assert_close(hinge(*rows), ldr(*rows, lam=1e-4, margin=1.0), atol=1e-3, rtol=0)


def test_both_kinds_are_one_for_two_classes(rows):
    logits, y = rows[0][:, :2], rows[1] % 2
    assert_close(hinge(logits, y), hinge(logits, y, kind="weston_watkins"))


@pytest.mark.parametrize("kind", ["crammer_singer", "weston_watkins"])
def test_a_row_that_leads_by_its_margin_has_no_loss_and_no_gradient(kind):
    logits = torch.tensor([[3.0, 1.5, -1.0]], requires_grad=True)
    value = hinge(logits, torch.tensor([0]), kind=kind)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert value.item() == 0
    assert not gradient.any()


@pytest.mark.parametrize("kind", ["crammer_singer", "weston_watkins"])
def test_gradient_is_that_of_the_value(rows, kind):
    logits, y = rows
    assert torch.autograd.gradcheck(lambda z: hinge(z, y, kind=kind), logits.clone().requires_grad_())


def test_an_unknown_kind_is_refused_by_name():
    with pytest.raises(ParameterError, match="loss 'hinge': kind must be one of 'crammer_singer', 'weston_watkins'"):
        Loss("hinge", kind="both").choose()


@pytest.mark.parametrize("kind", ["crammer_singer", "weston_watkins"])
def test_learns_by_name_without_probabilities(kind):
    X, y = load_iris(return_X_y=True)
    model = LossClassifier(Loss("hinge", kind=kind), max_epochs=60, lr=1e-2, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    assert not hasattr(model, "predict_proba")
