import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import kl_div

from sklearnloss import LLPClassifier, Loss
from sklearnloss.losses.bag.llp_vat import llp_vat
from sklearnloss.losses.bag.proportion_ce import proportion_ce


def linear(weight, bias=None):
    weight = torch.tensor(weight, dtype=torch.float64)
    layer = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(torch.zeros(len(weight)) if bias is None else torch.tensor(bias))
    return layer


def facts(module, X, scale=None, seed=0):
    scale = torch.ones(X.shape[1], dtype=X.dtype) if scale is None else scale
    return {"module": module, "X": X, "x_scale": scale, "rng": torch.Generator().manual_seed(seed)}


def consistency(module, X, y, bag, **params):
    """Return the second term alone, at weight one."""
    known = {"bag": bag, "n_bags": len(y), **facts(module, X, **params.pop("facts", {}))}
    return llp_vat(module(X), y, weight=1.0, **known, **params) - proportion_ce(module(X), y, bag=bag, n_bags=len(y))


@pytest.fixture
def rows(bags):
    """Return rows, proportions, bags and weights for two classes."""
    _, y, bag, weight = bags(0, n_classes=2)
    X = torch.randn(12, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return X, y, bag, weight


def test_weight_zero_is_proportion_ce(rows):
    X, y, bag, weight = rows
    module = linear([[1.0, 0.5], [0.0, 2.0]])
    found = llp_vat(module(X), y, bag=bag, n_bags=3, sample_weight=weight, weight=0.0, **facts(module, X))
    wanted = proportion_ce(module(X), y, bag=bag, n_bags=3, sample_weight=weight)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_two_classes_of_a_linear_network_have_the_analytic_direction(rows):
    X, y, bag, _ = rows
    module, scale = linear([[1.0, -2.0], [0.5, 1.5]], [0.3, 0.0]), torch.tensor([2.0, 0.1], dtype=torch.float64)
    found = consistency(module, X, y, bag, eps=0.7, facts={"scale": scale})
    slope = scale * (module.weight[1] - module.weight[0]).detach()  # of the log odds, in standard deviations
    step = 0.7 * scale * slope / slope.norm()
    here, ways = module(X).log_softmax(1), []
    for r in (step, -step):  # the sign is that of the random start, for all rows
        change = kl_div(module(X + r).log_softmax(1), here, log_target=True, reduction="none").sum(1)
        ways.append(torch.stack([change[bag == b].mean() for b in range(3)]))
    assert not torch.allclose(*ways, rtol=1e-3)
    assert any(torch.allclose(found, way, rtol=1e-9) for way in ways)


def test_one_row_moves_by_eps_along_the_slope():
    module, X = linear([[0.0, 0.0], [3.0, 4.0]]), torch.zeros(1, 2, dtype=torch.float64)
    y, bag = torch.tensor([[0.5, 0.5]], dtype=torch.float64), torch.tensor([0])
    for eps in (0.1, 1.0):
        z = 5 * eps  # log odds after a step of eps along (3, 4) / 5
        wanted = -0.5 * (np.log(4) - z - 2 * np.log1p(np.exp(-z)))
        assert consistency(module, X, y, bag, eps=eps).item() == pytest.approx(wanted, rel=1e-9)


def test_more_power_iterations_come_nearer_to_the_worst_direction():
    generator = torch.Generator().manual_seed(3)
    X = torch.randn(1, 6, generator=generator, dtype=torch.float64)
    module = linear(torch.randn(4, 6, generator=generator).tolist())
    y, bag, eps = torch.full((1, 4), 0.25, dtype=torch.float64), torch.tensor([0]), 0.01
    p, W = module(X).softmax(1)[0].detach(), module.weight.detach()
    fisher = W.T @ (torch.diag(p) - p[:, None] * p) @ W
    worst = 0.5 * eps**2 * torch.linalg.eigvalsh(fisher)[-1].item()
    once, often = (consistency(module, X, y, bag, eps=eps, n_power=n).item() for n in (1, 60))
    assert once < often
    assert often == pytest.approx(worst, rel=0.02)


def test_a_constant_network_gives_zero_and_a_gradient_that_is_a_number(rows):
    X, y, bag, _ = rows
    module = linear([[0.0, 0.0], [0.0, 0.0]], [0.0, 1.0])
    change = consistency(module, X, y, bag)
    assert torch.equal(change, torch.zeros_like(change))
    change.sum().backward()
    assert torch.isfinite(module.weight.grad).all()


def test_eps_zero_gives_zero(rows):
    X, y, bag, _ = rows
    change = consistency(linear([[1.0, 0.5], [0.0, 2.0]]), X, y, bag, eps=0.0)
    torch.testing.assert_close(change, torch.zeros_like(change), atol=1e-15, rtol=0)


def test_the_direction_survives_single_precision():
    module, X = linear([[0.0, 0.0], [3.0, 4.0]]).float(), torch.tensor([[40.0, -30.0]])  # a step of 1e-6 is lost here
    found = consistency(module, X, torch.tensor([[0.5, 0.5]]), torch.tensor([0]))
    assert found.item() == pytest.approx(-0.5 * (np.log(4) - 5 - 2 * np.log1p(np.exp(-5))), rel=1e-3)


def test_units_of_the_columns_do_not_matter(rows):
    X, y, bag, _ = rows
    unit = torch.tensor([1000.0, 0.01], dtype=torch.float64)
    plain = consistency(linear([[1.0, -2.0], [0.5, 1.5]]), X, y, bag)
    other = consistency(
        linear([[1.0 / 1000, -2.0 / 0.01], [0.5 / 1000, 1.5 / 0.01]]), X * unit, y, bag, facts={"scale": unit}
    )
    torch.testing.assert_close(plain, other)


def test_the_network_is_left_as_it_was_and_the_term_teaches_it(rows):
    X, y, bag, _ = rows
    module = nn.Sequential(nn.BatchNorm1d(2), linear([[1.0, -2.0], [0.5, 1.5]]), nn.Dropout(0.5)).double()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    value = llp_vat(torch.zeros(12, 2), y, bag=bag, n_bags=3, **facts(module, X))
    assert module.training
    assert module[2].training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(p.grad is None for p in module.parameters())
    value.sum().backward()
    assert module[1].weight.grad.abs().max() > 0


def test_weights_of_rows_count_in_both_terms(rows):
    X, y, bag, _ = rows
    module, counts = linear([[1.0, 0.5], [0.0, 2.0]]), torch.arange(12) % 3 + 1
    twice = torch.repeat_interleave(torch.arange(12), counts)
    how = {"n_bags": 3, "weight": 0.5}
    weighted = llp_vat(module(X), y, bag=bag, sample_weight=counts.double(), **how, **facts(module, X))
    repeated = llp_vat(module(X[twice]), y, bag=bag[twice], **how, **facts(module, X[twice]))
    torch.testing.assert_close(weighted, repeated)


@pytest.mark.parametrize("k", [2, 3])
def test_learns_rows_by_name(k):
    rng = np.random.default_rng(0)
    X, bag = rng.normal(size=(240, 2)), np.arange(240) // 6
    y = (X[:, 0] > 0).astype(int) if k == 2 else X[:, 0].argsort().argsort() // 80
    for loss in ("llp_vat", Loss("llp_vat", weight=0.2, eps=0.3)):
        model = LLPClassifier(loss, max_epochs=30, lr=0.03, batch_size=60, random_state=0).fit(X, y, bags=bag)
        assert model.score(X, y) > 0.85
