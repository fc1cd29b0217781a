import numpy as np
import pytest
import torch
from scipy.sparse.csgraph import shortest_path
from sklearn.datasets import make_blobs
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.exceptions import MissingFactError
from sklearnloss.functional.hyperbolic import hyperbolic_distances
from sklearnloss.losses.embedding.hyperbolic_stress import HyperbolicStress
from sklearnloss.metrics.distortion import distortion
from sklearnloss.metrics.map_tree import map_tree


def tree(depth):
    """Return the edges of a binary tree, and the distances along them."""
    n = 2 ** (depth + 1) - 1
    edges = np.zeros((n, n))
    for child in range(1, n):
        edges[child, (child - 1) // 2] = edges[(child - 1) // 2, child] = 1
    return edges, torch.tensor(shortest_path(edges))


def batch(n=5, total=8, d=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(total, d, dtype=torch.float64, generator=generator)
    index = torch.randperm(total, generator=generator)[:n]
    return torch.randn(n, d, dtype=torch.float64, generator=generator), torch.cdist(points, points)[index], index


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_equals_the_formula_in_plain_loops(scale):
    embeddings, distances, index = batch()
    totals, valid = HyperbolicStress(scale=scale).double()(embeddings, distances=distances, index=index)
    found = hyperbolic_distances(embeddings)
    for i in range(5):
        for j in range(5):
            wanted = abs((found[i, j] / (scale * distances[i, index[j]])) ** 2 - 1) if i != j else 0.0
            assert totals[i, j].item() == pytest.approx(float(wanted), rel=1e-5, abs=1e-6)
    assert_close(valid, 1 - torch.eye(5, dtype=torch.float64))


def test_is_zero_at_the_given_distances_and_one_where_all_points_coincide():
    embeddings, _, index = batch(total=5)
    given = torch.empty(5, 5, dtype=torch.float64)
    given[:, index] = hyperbolic_distances(embeddings)
    totals, _ = HyperbolicStress()(embeddings, distances=given, index=index)
    assert totals.max() < 1e-6
    totals, valid = HyperbolicStress()(torch.ones(5, 2), distances=given, index=index)
    assert_close(totals, valid)


def test_a_row_that_comes_twice_is_not_compared_with_itself():
    embeddings, distances, index = batch(n=3)
    twice = torch.tensor([0, 1, 1, 2])
    _, valid = HyperbolicStress()(embeddings[twice], distances=distances[twice] + 1.0, index=index[twice])
    assert valid.sum() == 10


def test_a_scale_is_a_factor_of_the_given_distances():
    embeddings, distances, index = batch()
    scaled = HyperbolicStress(scale=3.0)(embeddings, distances=distances, index=index)
    assert_close(scaled, HyperbolicStress()(embeddings, distances=3 * distances, index=index), atol=1e-5, rtol=1e-5)


def test_pairs_at_distance_zero_or_infinity_do_not_count():
    embeddings, _, _ = batch(n=3)
    distances = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, torch.inf], [1.0, torch.inf, 0.0]], dtype=torch.float64)
    embeddings.requires_grad_()
    totals, valid = HyperbolicStress()(embeddings, distances=distances, index=torch.arange(3))
    (gradient,) = torch.autograd.grad(totals.sum(), embeddings)
    assert valid.tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
    assert torch.isfinite(gradient).all()
    assert gradient[1].abs().max() == 0


def test_the_scale_is_learnt_only_if_asked_for():
    embeddings, distances, index = batch()
    for learn in (False, True):
        loss = HyperbolicStress(learn_scale=learn)
        loss(embeddings.clone().requires_grad_(), distances=distances, index=index)[0].sum().backward()
        assert (loss.log_scale.grad is not None) is learn


def test_gradients_agree_with_differences():
    embeddings, distances, index = batch()
    loss = HyperbolicStress(learn_scale=True).double()
    assert torch.autograd.gradcheck(
        lambda e, _: loss(e, distances=distances, index=index)[0], (embeddings.requires_grad_(), loss.log_scale)
    )


def descended(stress, seed, n, steps=250):
    x = 0.5 * torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    x.requires_grad_()
    optimizer = torch.optim.Adam([x], lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        stress(x).backward()
        optimizer.step()
    return x.detach()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_tree_fits_better_into_two_hyperbolic_dimensions_than_into_two_flat_ones(seed):
    edges, distances = tree(depth=4)
    n, pairs = len(edges), ~torch.eye(len(edges), dtype=torch.bool)
    loss = HyperbolicStress()

    def hyperbolic(x):
        totals, valid = loss(x, distances=distances, index=torch.arange(n))
        return totals.sum() / valid.sum()

    def flat(x):
        return ((torch.cdist(x, x)[pairs] / distances[pairs]).square() - 1).abs().mean()

    curved = hyperbolic_distances(descended(hyperbolic, seed, n))
    x = descended(flat, seed, n)
    assert distortion(distances, curved) < distortion(distances, torch.cdist(x, x))
    assert map_tree(edges, curved) > map_tree(edges, torch.cdist(x, x))


def test_distances_come_with_fit_and_batches_take_their_own_part():
    X, y = make_blobs(40, centers=3, random_state=0)
    far = np.linalg.norm(X[:, None] - X, axis=2)
    spec = Loss("cross_entropy") + Loss("hyperbolic_stress")
    model = LossClassifier(spec, hidden_layer_sizes=(8,), batch_size=10, max_epochs=60, lr=0.01, random_state=0)
    history = model.fit(X, y, distances=far).history_
    stress = [epoch["train_loss_hyperbolic_stress"] for epoch in history]
    shuffled = np.random.default_rng(0).permutation(40)
    wrong = model.fit(X, y, distances=far[shuffled]).history_[-1]["train_loss_hyperbolic_stress"]
    assert stress[-1] < stress[0] / 2
    assert stress[-1] < wrong / 2
    with pytest.raises(MissingFactError, match="loss 'hyperbolic_stress' needs 'distances', an array with one row"):
        model.fit(X, y)
