import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from torch import nn
from torch.testing import assert_close

from sklearnloss import AggregateRegressor, LLPClassifier, LossClassifier, Mode, Sampler, bag_targets, load
from sklearnloss.exceptions import SaveError, TaskError
from sklearnloss.functional.beliefs import Edges, propagate
from sklearnloss.modes.llp_bp import LLPBeliefPropagation, _log_odds

PAPER = {"network_prior": False, "soft": False, "centered": False}


def problem(seed=0, n=240, size=20, n_classes=2, d=3, apart=3.0):
    """Return rows around the corners of a simplex, their classes, and bags in random order."""
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    return rng.normal(size=(n, d)) + apart * np.eye(n_classes, d)[y], y, rng.permutation(n) // size


def small(mode="llp_bp", loss="proportion_ce", **how):
    given = {"max_epochs": 8, "lr": 0.02, "hidden_layer_sizes": (8,), "batch_size": 80, "random_state": 0} | how
    return LLPClassifier(loss, mode=mode, **given)


@pytest.fixture
def found(monkeypatch):
    """Note the pseudo-labels of each round, with the rows that were drawn."""
    seen, label = [], LLPBeliefPropagation._label

    def noted(self, features, logits):
        label(self, features, logits)
        seen.append((self.pseudo_.clone(), self._weights.clone(), features, logits, self._batches))

    monkeypatch.setattr(LLPBeliefPropagation, "_label", noted)
    return seen


def trained_on(monkeypatch):
    """Note the rows of each batch that is trained on."""
    seen, step = [], LLPBeliefPropagation.step

    def noted(self, closure, optimizer):
        seen.append(closure.batch["index"].clone())
        step(self, closure, optimizer)

    monkeypatch.setattr(LLPBeliefPropagation, "step", noted)
    return seen


@pytest.mark.parametrize("mode", ["llp_bp", "llp_belief_propagation", Mode("llp_bp", **PAPER, neighbor_strength=1.0)])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_learns_rows_by_name(n_classes, mode):
    X, y, _ = problem(n_classes=n_classes)
    bag = np.empty(240, dtype=int)
    bag[np.argsort(y + 1.5 * np.random.default_rng(1).normal(size=240))] = np.arange(240) // 20  # shares differ
    model = small(mode, max_epochs=30).fit(X, y, bags=bag)
    assert model.score(X, y) > 0.9
    assert np.isfinite(model.loss_curve_).all()
    assert clone(model).fit(X, y, bags=bag).loss_curve_ == model.loss_curve_


def clusters(seed):
    """Return three clusters for each class, in eight large bags with different shares."""
    rng = np.random.default_rng(seed)
    bag = np.arange(512) // 64
    y = (rng.random(512) < rng.beta(1, 1, size=8)[bag]).astype(int)
    corners = 2 * rng.normal(size=(2, 3, 5))
    return rng.normal(size=(512, 5)) + corners[y, rng.integers(3, size=512)], y, bag


def test_clusters_in_large_bags_are_learnt_in_fewer_epochs():
    modes = (None, "llp_bp", Mode("llp_bp", **PAPER, neighbor_strength=1.0))
    given = {"hidden_layer_sizes": (32,), "max_epochs": 20, "lr": 0.01, "random_state": 0}
    scores = []
    for seed in (0, 1, 2):
        X, y, bag = clusters(seed)
        scores.append([LLPClassifier(mode=m, **given).fit(X, y, bags=bag).score(X, y) for m in modes])
    plain, default, paper = np.transpose(scores)
    assert (default - plain).mean() > -0.02  # with weak neighbours it is much the same
    assert (paper - plain).min() > 0
    assert (paper - plain).mean() > 0.02


# -- pseudo-labels ----------------------------------------------------------------------------------------------------


def test_pseudo_labels_are_the_marginals_of_the_columns_as_in_the_paper(found):
    X, y, bag = problem()
    small(Mode("llp_bp", **PAPER | {"soft": True}, length_scale=2.0, n_neighbors=4, rounds=1)).fit(X, y, bags=bag)
    assert len(found) == 1
    pseudo, weights, features, logits, _ = found[0]
    assert logits is None
    np.testing.assert_allclose(features, X)
    edges = Edges.between((X - X.mean(0)) / X.std(0), 4, 2.0)
    counts = np.bincount(bag, weights=y)
    wanted = propagate(
        edges.undirected(), bag, counts, bag_strength=np.full(12, 10.0), neighbor_strength=0.05, center=0.5,
        iterations=100, damping=0.5,
    )  # fmt: skip
    np.testing.assert_allclose(pseudo[:, 1], wanted, atol=1e-6)
    np.testing.assert_allclose(pseudo.sum(1), 1, atol=1e-6)
    assert_close(weights, torch.ones_like(weights))


def test_rounds_cut_the_fit_and_later_ones_look_at_the_network(found):
    X, y, bag = problem()
    model = small(Mode("llp_bp", rounds=4), max_epochs=8).fit(X, y, bags=bag)
    assert len(found) == 3
    for pseudo, _, features, logits, _ in found:
        assert features.shape == (240, 8)
        assert logits.shape == (240, 2)
        counts = np.bincount(bag, weights=pseudo[:, 1])
        np.testing.assert_allclose(counts, np.bincount(bag, weights=y), atol=0.3)
    assert not np.array_equal(found[0][2], found[2][2])
    found.clear()
    small(Mode("llp_bp", rounds=4, network_prior=False), max_epochs=8).fit(X, y, bags=bag)
    assert [f[3] is None for f in found] == [True] * 4
    assert model.net_.mode.pseudo_ is None


def test_hard_labels_are_the_likeliest(found):
    X, y, bag = problem(n_classes=3)
    for soft in (True, False):
        small(Mode("llp_bp", soft=soft, network_prior=False, rounds=1)).fit(X, y, bags=bag)
    soft, hard = found[0][0], found[1][0]
    assert ((soft > 0) & (soft < 1)).any()
    assert_close(hard, nn.functional.one_hot(soft.argmax(1), 3).to(hard.dtype))
    np.testing.assert_allclose(soft.sum(1), 1, atol=1e-6)


def test_neighbours_of_bags_with_several_positives_are_dropped_as_in_the_authors_code(monkeypatch):
    X, y, bag = problem(size=3, n=60)
    kept, of_sources = [], Edges.of_sources
    monkeypatch.setattr(Edges, "of_sources", lambda self, rows: kept.append(rows) or of_sources(self, rows))
    small(Mode("llp_bp", edge_filter="single_positive_bags", network_prior=False, rounds=1)).fit(X, y, bags=bag)
    (rows,) = kept
    np.testing.assert_array_equal(rows, np.bincount(bag, weights=y)[bag] <= 1)
    assert 0 < rows.sum() < 60
    kept.clear()
    small(Mode("llp_bp", network_prior=False, rounds=1)).fit(X, y, bags=bag)
    assert not kept


def test_without_neighbours_the_rows_of_a_bag_have_its_proportions(found):
    X, y, bag = problem(size=10)
    small(Mode("llp_bp", neighbor_strength=0.0, network_prior=False, rounds=1)).fit(X, y, bags=bag)
    shares = np.bincount(bag, weights=y) / 10
    np.testing.assert_allclose(found[0][0][:, 1], shares[bag], atol=1e-3)


def test_saturated_networks_and_contrary_proportions_give_no_nan(found):
    X, y, bag = problem(n_classes=3, size=4)
    mode = LLPBeliefPropagation(network_prior=True)
    small(Mode("llp_bp", rounds=1, network_prior=False)).fit(X, y, bags=bag)
    mode._batches = found[0][4]
    logits = np.where(np.eye(3)[np.zeros(240, int)] > 0, 2000.0, 0.0)  # all rows of the first class, without doubt
    logits[:, 2] = -2000.0
    mode._label(X, logits)
    assert mode.pseudo_.isfinite().all()
    np.testing.assert_allclose(mode.pseudo_.sum(1), 1, atol=1e-6)


def test_log_odds_are_those_against_all_others():
    logits = np.random.default_rng(0).normal(size=(5, 3))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(_log_odds(logits), np.log(p / (1 - p)))
    assert np.isfinite(_log_odds(np.array([[900.0, -900.0], [0.0, 1e4]]))).all()


# -- what is trained on -----------------------------------------------------------------------------------------------


def test_rows_of_no_weight_have_no_pseudo_label_are_not_trained_on_and_may_be_wild(found, monkeypatch):
    X, y, bag = problem()
    weight = np.ones(240)
    weight[::7] = 0
    proportions = (np.bincount(bag, weights=y * weight) / np.bincount(bag, weights=weight))[bag]
    wild, kept = X.copy(), weight > 0
    wild[::7] *= 1e6
    for mode in ("llp_bp", Mode("llp_bp", **PAPER)):
        found.clear()
        batches = trained_on(monkeypatch)
        how = {"standardize": False, "batch_size": 1000, "sampler": Sampler("whole_bags")}
        model = small(mode, **how).fit(wild, proportions, sample_weight=weight, bags=bag)
        assert not set(torch.cat(batches).tolist()) & set(range(0, 240, 7))
        for pseudo, weights, *_ in found:
            assert (pseudo[::7] == 0).all()
            assert (weights[::7] == 0).all()
            assert_close(pseudo[kept].sum(1), torch.ones(int(kept.sum()), dtype=pseudo.dtype))
            assert weights[kept].mean().item() == pytest.approx(1)
        without = small(mode, **how).fit(X[kept], proportions[kept], bags=bag[kept])
        np.testing.assert_allclose(model.predict_proba(X), without.predict_proba(X), atol=1e-5)


def test_bags_that_are_held_out_have_no_pseudo_labels_and_are_not_trained_on(found, monkeypatch):
    X, y, bag = problem()
    batches = trained_on(monkeypatch)
    small(early_stopping=True, validation_fraction=0.25, n_iter_no_change=100).fit(X, y, bags=bag)
    pseudo = found[0][0]
    labelled = pseudo.sum(1) > 0
    assert labelled.sum() == 180  # 9 of 12 bags
    assert set(torch.cat(batches).tolist()) == set(labelled.nonzero().squeeze(1).tolist())
    assert len(np.unique(bag[labelled.numpy()])) == 9
    counts = np.bincount(bag, weights=pseudo[:, 1])[np.unique(bag[labelled.numpy()])]
    np.testing.assert_allclose(counts, np.bincount(bag, weights=y)[np.unique(bag[labelled.numpy()])], atol=0.3)


@pytest.mark.parametrize("bag_weight", ["size", "equal"])
def test_a_row_counts_by_its_share_of_its_bag(found, bag_weight):
    X, y, _ = problem(n=100)
    bag, weight = np.repeat([0, 1, 2], [10, 30, 60]), np.random.default_rng(0).uniform(0.5, 2, 100)
    proportions = (np.bincount(bag, weights=y) / np.bincount(bag))[bag]
    small(bag_weight=bag_weight, batch_size=30).fit(X, proportions, sample_weight=weight, bags=bag)
    wanted = weight if bag_weight == "size" else weight / np.bincount(bag, weights=weight)[bag]
    np.testing.assert_allclose(found[0][1], wanted / wanted.mean(), rtol=1e-5)


def step_gradient(monkeypatch, **how):
    """Return the gradient of the first step that learns pseudo-labels, and what it was taken at."""
    X, y, bag = problem(n=60, size=10)
    seen, step = [], LLPBeliefPropagation.step

    def noted(self, closure, optimizer):
        before = [p.detach().clone() for p in closure.net.parameters_]
        step(self, closure, optimizer)
        if self.pseudo_ is not None and not seen:
            seen.append((before, [p.grad.clone() for p in closure.net.parameters_], self.pseudo_.clone()))

    monkeypatch.setattr(LLPBeliefPropagation, "step", noted)
    mode = Mode("llp_bp", network_prior=False, proportion_weight=how.pop("proportion_weight", 0.1))
    model = small(mode, max_epochs=1, batch_size=1000, precision="fp64", **how).fit(X, y, bags=bag)
    return (X, y, bag), model, seen[0]


@pytest.mark.parametrize("weight", [0.0, 0.1, 2.0])
@pytest.mark.parametrize("loss", ["proportion_ce", "easy_llp", "mean_map"])
def test_a_step_follows_the_cross_entropy_of_pseudo_labels_and_a_share_of_the_loss_of_bags(monkeypatch, weight, loss):
    (X, _, _), model, (before, gradient, pseudo) = step_gradient(monkeypatch, loss=loss, proportion_weight=weight)
    net = model.net_
    for p, value in zip(net.module_.parameters(), before, strict=True):
        p.data.copy_(value)
    logits = net.module_(torch.as_tensor(X))
    rows = -(pseudo * logits.log_softmax(1)).sum(1).mean()
    wanted = list(torch.autograd.grad(rows, list(net.module_.parameters())))
    if weight:
        (_, _, _), _, (_, whole, _) = step_gradient(monkeypatch, loss=loss, proportion_weight=weight + 1)
        wanted = [w + weight * (g - own) for w, g, own in zip(wanted, whole, gradient, strict=True)]
    for g, w in zip(gradient, wanted, strict=True):
        assert_close(g, w)


def test_the_gradient_of_both_parts_is_limited(monkeypatch):
    _, _, (_, gradient, _) = step_gradient(monkeypatch, max_grad_norm=0.01, proportion_weight=5.0)
    assert torch.cat([g.flatten() for g in gradient]).norm().item() == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("loss", ["ci_proportion", "easy_llp", "proportion_ce"])
def test_bags_may_be_merged_besides(loss):
    X, y, bag = problem(size=12)
    assert small(loss=loss, mixup="mixbag", max_epochs=30).fit(X, y, bags=bag).score(X, y) > 0.85


def test_sparse_rows_have_neighbours():
    X, y, bag = problem()
    X[np.abs(X) < 0.5] = 0
    for mode in ("llp_bp", Mode("llp_bp", **PAPER)):
        dense = small(mode).fit(X, y, bags=bag).predict_proba(X)
        np.testing.assert_allclose(small(mode).fit(sparse.csr_array(X), y, bags=bag).predict_proba(X), dense, atol=1e-4)


# -- its place --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["llp_bp", Mode("llp_bp", **PAPER)])
def test_estimators_that_know_no_proportions_are_refused(mode):
    X, y, bag = problem()
    message = "^mode 'llp_bp' finds labels from the proportions of bags; it belongs to LLPClassifier$"
    with pytest.raises(TaskError, match=message):
        LossClassifier(mode=mode).fit(X, y)
    means = (np.bincount(bag, weights=X[:, 0]) / np.bincount(bag))[bag]
    with pytest.raises(TaskError, match=message):
        AggregateRegressor(mode=mode).fit(X, means, bags=bag)


def test_a_checkpoint_is_refused(tmp_path):
    X, y, bag = problem()
    with pytest.raises(SaveError, match=r"^mode LLPBeliefPropagation wraps the whole fit"):
        small(checkpoint=tmp_path / "kept").fit(X, y, bags=bag)


def test_a_model_is_saved_and_loaded(tmp_path):
    X, y, bag = problem()
    model = small(Mode("llp_bp", n_neighbors=7)).fit(X, bag_targets((np.bincount(bag, weights=y) / 20)[bag], bag))
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.mode == Mode("llp_bp", n_neighbors=7)
    assert again.fit(X, y, bags=bag).score(X, y) == clone(model).fit(X, y, bags=bag).score(X, y)


def test_nothing_of_a_fit_is_left_even_if_it_fails(monkeypatch):
    X, y, bag = problem()

    class Interrupted(Exception):
        pass

    def raising(self, closure, optimizer):
        raise Interrupted

    monkeypatch.setattr(LLPBeliefPropagation, "step", raising)
    model = small(Mode("llp_bp", **PAPER))
    with pytest.raises(Interrupted):
        model.fit(X, y, bags=bag)
    assert model.net_.mode.pseudo_ is None
    assert not {"_batches", "_weights"} & model.net_.mode.__dict__.keys()


def test_a_fit_that_goes_on_has_rounds_of_its_own(found):
    X, y, bag = problem()
    model = small(warm_start=True).fit(X, y, bags=bag)
    assert len(found) == 1
    model.fit(X, y, bags=bag)
    assert len(found) == 2
    assert model.n_iter_ == 16
