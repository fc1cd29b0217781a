import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.testing import assert_close

from sklearnloss import LossClassifier, LossRegressor, Mixup
from sklearnloss.exceptions import ParameterError, TaskError
from sklearnloss.mixups.manifold_mixup import manifold_mixup
from sklearnloss.mixups.mixup import mixup
from sklearnloss.training.backbone import Network


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def network():
    torch.manual_seed(0)
    layers = nn.Sequential(nn.BatchNorm1d(4, affine=False), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.Tanh())
    return Network(layers, nn.Linear(5, 3)).double().eval()


def through(blocks, X):
    for block in blocks:
        X = nn.Sequential(*block)(X)
    return X


def rows(n=8):
    return torch.randn(n, 4, generator=generator(3), dtype=torch.float64), torch.arange(n)


def test_a_block_is_a_layer_with_weights_and_what_follows_without(network):
    kinds = [[type(layer).__name__ for layer in block] for block in network.blocks]
    assert kinds == [["BatchNorm1d", "Linear", "ReLU"], ["Linear", "Tanh"]]
    X, _ = rows()
    assert_close(through(network.blocks, X), network.backbone(X))


def test_a_backbone_that_is_no_plain_sequence_is_one_block():
    class Own(nn.Sequential):
        def forward(self, X):
            return super().forward(X) + 1

    network = Network(Own(nn.Linear(4, 6), nn.Linear(6, 5)), nn.Identity())
    assert len(network.blocks) == 1
    X = torch.ones(2, 4)
    assert_close(through(network.blocks, X), network.backbone(X))


@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_mixes_what_leaves_the_layer_and_goes_on(network, layer, seed):
    X, y = rows()
    features, y_a, y_b, lam = manifold_mixup(X, y, rng=generator(seed), module=network, layers=[layer])
    assert torch.equal(y_a, y)
    hidden = through(network.blocks[:layer], X)
    hidden = torch.stack([lam * hidden[i] + (1 - lam) * hidden[j] for i, j in enumerate(y_b.tolist())])
    assert_close(features, through(network.blocks[layer:], hidden))


def test_each_layer_is_drawn_as_often(network):
    X, y = rows(6)
    input_mixed = hidden_mixed = 0
    for seed in range(300):
        features, _, y_b, lam = manifold_mixup(X, y, rng=generator(seed), module=network)
        at_end = lam * network.backbone(X) + (1 - lam) * network.backbone(X)[y_b]
        at_start = network.backbone(lam * X + (1 - lam) * X[y_b])
        input_mixed += torch.allclose(features, at_start)
        hidden_mixed += torch.allclose(features, at_end)
    assert 70 < input_mixed < 130
    assert 70 < hidden_mixed < 130


def test_layers_that_are_not_there_are_refused(network):
    X, y = rows()
    for layers in ([3], []):
        with pytest.raises(TaskError, match="layers must be of 0 to 2"):
            manifold_mixup(X, y, rng=generator(), module=network, layers=layers)


def test_layers_are_numbers():
    with pytest.raises(ParameterError, match="layers must be a list of numbers from 0, or None, got"):
        LossClassifier(mixup=Mixup("manifold_mixup", layers=["last"])).fit(*load_digits(return_X_y=True))


def test_shares_are_those_of_mixup(network):
    X, y = rows()
    shares = [manifold_mixup(X, y, rng=generator(s), module=network, alpha=0.5)[3] for s in range(400)]
    others = [mixup(X, y, rng=generator(s), alpha=0.5)[3] for s in range(400)]
    one, other = torch.stack(shares), torch.stack(others)
    assert one.mean().item() == pytest.approx(0.5, abs=0.06)
    assert one.std().item() == pytest.approx(other.std().item(), abs=0.05)


def test_trains_by_name_and_predicts():
    X, y = load_digits(return_X_y=True)
    model = LossClassifier(mixup="manifold_mixup", hidden_layer_sizes=(64, 32), max_epochs=20, random_state=0)
    assert model.fit(X, y).score(X, y) > 0.9


def test_numbers_are_mixed_too():
    X, y = load_digits(return_X_y=True)
    model = LossRegressor(mixup=Mixup("manifold_mixup", alpha=0.4), max_epochs=15, random_state=0)
    assert model.fit(X, y.astype(float)).score(X, y) > 0.7
