import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from sklearnloss import Loss, LossRegressor
from sklearnloss.exceptions import TaskError
from sklearnloss.losses.regression.hl_gauss import HLGauss

RANGE = torch.tensor([[0.0], [1.0]], dtype=torch.float64)


def on_edges(edges, ratio=0.75):
    """Return the loss with these bins, padding included or not."""
    criterion = HLGauss(y_train=RANGE, n_bins=len(edges) - 1 if len(edges) > 10 else 10, ratio=ratio)
    criterion.edges = torch.as_tensor(edges, dtype=torch.float64)[None]
    return criterion


def mass(criterion, y):
    """Return the target probabilities: what the gradient takes from softmax."""
    logits = torch.zeros(1, 1, criterion.edges.shape[1] - 1, dtype=torch.float64, requires_grad=True)
    criterion(logits, torch.tensor([[y]], dtype=torch.float64)).sum().backward()
    return torch.softmax(logits.detach(), -1)[0, 0] - logits.grad[0, 0]


def test_gives_the_worked_numbers():
    criterion = on_edges([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    wanted = torch.tensor([0.02234, 0.22994, 0.49544, 0.22994, 0.02234], dtype=torch.float64)
    assert_close(mass(criterion, 0.5), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("y", [0.0, 0.33, 0.5, 1.0])
def test_the_bump_has_its_mean_at_the_target_even_at_the_ends_of_the_range(y):
    criterion = HLGauss(y_train=RANGE, n_bins=31)
    centers = (criterion.edges[0, 1:] + criterion.edges[0, :-1]) / 2
    assert float((mass(criterion, y) * centers).sum()) == pytest.approx(y, abs=1e-3)


def test_equals_the_formula_in_plain_loops():
    y_train = torch.tensor([[-2.0, 0.0], [1.0, 5.0], [0.0, 2.0]], dtype=torch.float64)
    criterion = HLGauss(y_train=y_train, n_bins=12, ratio=0.5)
    columns = torch.randn(3, 2, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for i in range(3):
        for j in range(2):
            edges, y = criterion.edges[j].tolist(), float(y_train[i, j])
            sigma = 0.5 * (edges[1] - edges[0])
            reached = [0.5 * (1 + math.erf((e - y) / sigma / math.sqrt(2))) for e in edges]
            logits = columns[i, j].tolist()
            norm = math.log(sum(math.exp(z) for z in logits))
            p = [(b - a) / (reached[-1] - reached[0]) for a, b in pairwise(reached)]
            wanted = -sum(q * (z - norm) for q, z in zip(p, logits, strict=True))
            assert float(criterion(columns, y_train)[i, j]) == pytest.approx(wanted)


def test_a_narrow_bump_is_the_bin_it_falls_into():
    criterion = HLGauss(y_train=RANGE, n_bins=10, ratio=1e-3)
    assert_close(mass(criterion, 0.349), torch.nn.functional.one_hot(torch.tensor(3), 10).double(), atol=1e-9, rtol=0)


def test_shifted_and_scaled_targets_cost_the_same():
    columns = torch.randn(2, 1, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    plain = HLGauss(y_train=RANGE, n_bins=20)(columns, RANGE)
    assert_close(HLGauss(y_train=7 + 3 * RANGE, n_bins=20)(columns, 7 + 3 * RANGE), plain)


def test_targets_beyond_the_range_count_as_its_end():
    criterion = HLGauss(y_train=RANGE, n_bins=20)
    assert_close(mass(criterion, 1e6), mass(criterion, 1.0))


def test_a_far_outlier_in_the_targets_moves_the_prediction_less_than_squared_errors_do():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    clean = X @ [1.0, -1.0]
    y = clean + np.where(rng.uniform(size=300) < 0.1, 15 * rng.standard_t(2, size=300), 0)
    off = {}
    for name in (Loss("hl_gauss"), "mse"):
        model = LossRegressor(name, hidden_layer_sizes=(16,), lr=0.01, max_epochs=40, random_state=0).fit(X, y)
        quantile = model.predict_quantiles(X, [0.5])[:, 0] if name != "mse" else model.predict(X)
        off[str(name)] = np.abs(quantile - clean).mean()
    assert off.pop("mse") > min(off.values())


def test_partial_fit_is_refused_as_bins_need_all_targets():
    with pytest.raises(TaskError, match="names 'y_train', which counts the rows of one fit"):
        LossRegressor("hl_gauss").partial_fit(np.zeros((4, 1)), np.arange(4.0))
