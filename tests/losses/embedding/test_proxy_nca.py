import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch.testing import assert_close

import sklearnloss
from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.embedding.proxy_nca import ProxyNCA


def batch(n=9, d=4, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(n, d, dtype=torch.float64, generator=generator), torch.arange(n) % classes


def built(classes=3, d=4, seed=1, **params):
    torch.manual_seed(seed)
    return ProxyNCA(n_classes=classes, embedding_dim=d, **params).double()


def naive(embeddings, y, proxies, tau):
    def unit(v):
        return [x / math.hypot(*v) for x in v]

    values = []
    for e, label in zip(embeddings.tolist(), y.tolist(), strict=True):
        affinities = [math.exp(-(math.dist(unit(e), unit(p)) ** 2) / tau) for p in proxies.tolist()]
        values.append(-math.log(affinities[label] / sum(affinities)))
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("tau", [1.0, 1 / 9])
def test_equals_the_formula_in_plain_loops(tau):
    (embeddings, y), loss = batch(), built(tau=tau)
    assert_close(loss(embeddings, y).detach(), naive(embeddings, y, loss.proxies, tau))


def test_is_the_log_of_the_classes_where_all_proxies_are_alike():
    (embeddings, y), loss = batch(), built()
    loss.proxies.data.fill_(1.0)
    assert_close(loss(embeddings, y).detach(), torch.full((9,), math.log(3), dtype=torch.float64))


def test_one_class_has_nothing_to_lose():
    embeddings, y = batch(classes=1)
    assert built(classes=1)(embeddings, y).abs().max() == 0


def test_a_low_temperature_looks_at_the_nearest_proxy_only():
    embeddings, y = batch()
    loss = built(tau=1e-3)
    distances = torch.cdist(*(torch.nn.functional.normalize(x, dim=1) for x in (embeddings, loss.proxies)))
    own = distances.gather(1, y[:, None])[:, 0]
    wanted = own.square() - distances.square().min(1).values
    assert_close((1e-3 * loss(embeddings, y)).detach(), wanted.detach(), atol=2e-3, rtol=0)


def test_does_not_see_the_length_of_embeddings_and_proxies():
    (embeddings, y), loss = batch(), built()
    before = loss(embeddings, y)
    loss.proxies.data *= torch.tensor([[1e-3], [1.0], [1e3]])
    assert_close(loss(1e3 * embeddings, y), before)


def test_gradients_agree_with_differences():
    (embeddings, y), loss = batch(), built(tau=0.3)
    assert torch.autograd.gradcheck(lambda e, _: loss(e, y), (embeddings.requires_grad_(), loss.proxies))


def test_a_proxy_of_zeros_does_no_harm():
    (embeddings, y), loss = batch(), built()
    loss.proxies.data[0] = 0
    loss(embeddings, y).sum().backward()
    assert torch.isfinite(loss.proxies.grad).all()
    assert loss.proxies.grad[0].abs().max() == 0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_proxies_learn_with_the_network_where_their_classes_are(seed):
    generator = torch.Generator().manual_seed(seed)
    centers = torch.randn(5, 8, generator=generator)
    y = torch.arange(100) % 5
    X = centers[y] + 0.3 * torch.randn(100, 8, generator=generator)
    loss, network = built(classes=5, d=3, seed=seed, tau=1 / 9).float(), torch.nn.Linear(8, 3)
    groups = [{"params": network.parameters(), "lr": 0.01}, {"params": loss.parameters(), "lr": 0.1}]
    optimizer = torch.optim.Adam(groups)
    for _ in range(100):
        optimizer.zero_grad()
        loss(network(X), y).mean().backward()
        optimizer.step()
    cosines = torch.nn.functional.normalize(network(X), dim=1) @ torch.nn.functional.normalize(loss.proxies, dim=1).T
    assert (cosines.argmax(1) == y).float().mean() > 0.9


def test_proxies_are_learnt_at_a_rate_of_their_own_and_saved_with_the_model(tmp_path):
    X, y = load_digits(n_class=4, return_X_y=True)
    spec = Loss("cross_entropy") + 0.5 * Loss("proxy_nca")

    def fitted(loss_lr):
        return LossClassifier(spec, loss_lr=loss_lr, max_epochs=3, random_state=0).fit(X, y)

    def proxies(model):
        return model.net_.criterion_.by_name["proxy_nca"].modules_[0].proxies.detach()

    still, moved = fitted(0.0), fitted(10.0)
    assert proxies(moved).shape == (4, 100)  # of the hidden layer
    assert (proxies(still) - proxies(moved)).abs().mean() > 0.1
    assert torch.equal(proxies(fitted(10.0)), proxies(moved))
    moved.save(tmp_path / "model.safetensors")
    assert torch.equal(proxies(sklearnloss.load(tmp_path / "model.safetensors")), proxies(moved))
