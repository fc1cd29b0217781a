"""Losses on cosines in MetricEmbedder, and losses on embeddings with a link of their own in LossClassifier."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from torch import nn
from torch.nn.functional import cross_entropy

from sklearnloss import Loss, LossClassifier, MetricEmbedder, load, loss
from sklearnloss.exceptions import MissingFactError, TaskError


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(n_class=5, return_X_y=True)
    return X[:300].astype("float32"), y[:300]


def embedder(loss="arcface", **params):
    return MetricEmbedder(loss, **{"embedding_dim": 8, "max_epochs": 3, "random_state": 0, **params})


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.net_.state_tensors(), other.net_.state_tensors(), strict=True))


# -- a loss on cosines brings its proxies to an embedder --------------------------------------------------------------


def test_a_loss_on_cosines_learns_a_proxy_for_each_class(digits):
    X, y = digits
    model = embedder(max_epochs=15, lr=0.01).fit(X, y)
    head = model.net_.criterion_.terms[0].head
    assert head.weight.shape == (5, 8)
    with torch.no_grad():
        cosines = head(torch.as_tensor(model.transform(X)))
    assert np.mean(cosines.argmax(1).numpy() == y) > 0.9
    assert model.score(X, y) > 0.9


def test_the_proxies_learn_at_the_rate_of_losses_without_decay(digits):
    model = embedder(loss_lr=7.0, lr=0.01, weight_decay=0.3).fit(*digits)
    network, proxies = model.net_.optimizer_.param_groups
    assert [p.shape for p in proxies["params"]] == [(5, 8)]
    assert (proxies["lr"], proxies["weight_decay"]) == (0.07, 0.0)
    assert (network["lr"], network["weight_decay"]) == (0.01, 0.3)


def test_a_loss_may_ask_for_the_proxies_and_for_several_of_a_class(digits):
    seen = {}

    @loss("asking", task="multiclass", outputs=lambda *, per_class: per_class)
    def asking(cosines, y, *, prototypes, features, per_class: int = 3):
        seen.update(cosines=cosines.shape, prototypes=prototypes, features=features.shape)
        return cross_entropy(8 * cosines.view(len(y), -1, per_class).amax(2), y, reduction="none")

    model = embedder(asking, batch_size=300).fit(*digits)
    assert seen["cosines"] == (300, 15)
    assert seen["features"] == (300, 8)
    assert seen["prototypes"] is model.net_.criterion_.terms[0].head.weight


def test_terms_of_a_sum_have_proxies_of_their_own(digits):
    model = embedder(Loss("arcface") + 0.5 * Loss("subcenter_arcface") + Loss("supcon")).fit(*digits)
    heads = [term.head for term in model.net_.criterion_.terms]
    assert [None if head is None else tuple(head.weight.shape) for head in heads] == [(5, 8), (15, 8), None]


def test_it_is_saved_and_loaded_and_goes_on_the_same(digits, tmp_path):
    X, y = digits
    model = embedder(Loss("adaface") + Loss("arcface")).fit(X, y)
    model.save(tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    assert same(model, again)
    assert same(model.partial_fit(X, y), again.partial_fit(X, y))


def test_a_warm_start_keeps_the_proxies_and_partial_fit_goes_on(digits):
    X, y = digits
    model = embedder(warm_start=True).fit(X, y)
    proxies = model.net_.criterion_.terms[0].head
    before = proxies.weight.detach().clone()
    model.set_params(loss__margin=0.2, max_epochs=1).fit(X, y)
    assert model.net_.criterion_.terms[0].head is proxies
    assert 0 < (proxies.weight - before).abs().max() < 0.1
    parts = embedder()
    for _ in range(3):
        parts.partial_fit(X, y, classes=np.arange(7))
    assert parts.net_.criterion_.terms[0].head.weight.shape == (7, 8)


def test_the_same_random_state_gives_the_same_proxies(digits):
    one, two, other = (embedder(random_state=s).fit(*digits) for s in (0, 0, 1))
    assert same(one, two)
    assert not same(one, other)


def test_it_works_with_views_a_mixup_of_rows_and_names_of_classes(digits):
    X, y = digits
    names = np.array(list("edcba"))[y]
    assert embedder(views="noise").fit(X, names).score(X, names) > 0.9
    assert embedder(mixup="mixup").fit(X, names).score(X, names) > 0.9


def test_what_looks_at_pairs_is_refused(digits):
    with pytest.raises(TaskError, match="miner"):
        embedder(miner="semihard").fit(*digits)


@pytest.mark.parametrize("views", [None, "noise"])
def test_proxies_need_classes(digits, views):
    with pytest.raises(MissingFactError, match=r"loss 'arcface' learns from y, which is missing: fit\(X, y\)"):
        embedder(views=views).fit(digits[0])


# -- a loss on embeddings predicts by a link of its own ---------------------------------------------------------------


@loss("nearest_mean", task="multiclass", link="proba")
class NearestMean(nn.Module):
    """Squared distances to learned means."""

    def __init__(self, *, n_classes: int, embedding_dim: int) -> None:
        super().__init__()
        self.means = nn.Parameter(torch.randn(n_classes, embedding_dim))

    def forward(self, embeddings, y):
        return cross_entropy(-torch.cdist(embeddings, self.means.to(embeddings.dtype)).square(), y, reduction="none")

    def proba(self, embeddings):
        """Return class probabilities."""
        return torch.softmax(-torch.cdist(embeddings, self.means.to(embeddings.dtype)).square(), 1)


def classifier(loss=NearestMean, **params):
    return LossClassifier(
        loss, **{"hidden_layer_sizes": (8,), "max_epochs": 60, "lr": 0.02, "random_state": 0, **params}
    )


def test_a_loss_on_features_with_a_link_predicts_from_them(blobs):
    X, y = blobs
    model = classifier().fit(X, y)
    assert model.score(X, y) > 0.95
    features = model.net_.map_output(X, lambda output: output.numpy())
    assert features.shape == (90, 8)
    wanted = model.net_.criterion_.terms[0].modules_[0].proba(torch.as_tensor(features)).detach().numpy()
    np.testing.assert_allclose(model.predict_proba(X), wanted)
    np.testing.assert_array_equal(model.decision_function(X), model.predict_proba(X))
    np.testing.assert_array_equal(model.predict(X), wanted.argmax(1))


def test_two_classes_with_names_have_one_decision():
    X, y = make_blobs(60, centers=2, random_state=0)
    names = np.array(["no", "yes"])[y]
    model = classifier().fit(X, names)
    assert model.score(X, names) > 0.9
    assert model.decision_function(X).shape == (60,)
    np.testing.assert_array_equal(model.decision_function(X) > 0, model.predict(X) == "yes")


def test_its_width_is_that_of_the_backbone(blobs):
    X, y = blobs
    for module in (nn.Sequential(nn.LazyLinear(6), nn.Tanh()), None):
        model = classifier(module=module, hidden_layer_sizes=(6,), max_epochs=2).fit(X, y)
        assert model.net_.criterion_.terms[0].modules_[0].means.shape == (3, 6)
    linear = classifier(hidden_layer_sizes=(), max_epochs=2).fit(X, y)
    assert linear.net_.criterion_.terms[0].modules_[0].means.shape == (3, 4)


@pytest.mark.parametrize("terms", [Loss("supcon") + Loss("cbc_margin"), Loss("cbc_margin") + 0.1 * Loss("supcon")])
def test_in_a_sum_the_term_with_the_link_predicts(blobs, terms):
    X, y = blobs
    model = classifier(terms).fit(X, y)
    assert model.score(X, y) > 0.9
    cbc = model.net_.criterion_.by_name["cbc_margin"].modules_[0]
    features = torch.as_tensor(model.net_.map_output(X, lambda output: output.numpy()))
    np.testing.assert_allclose(model.predict_proba(X), cbc.proba(features).detach().numpy())


def test_beside_a_loss_with_a_head_it_is_an_added_term(blobs):
    X, y = blobs
    model = classifier(Loss("cross_entropy") + Loss("cbc_margin"), max_epochs=5).fit(X, y)
    assert model.net_.module_.head.out_features == 3
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1)


def test_it_is_cloned_saved_calibrated_and_exported(blobs, tmp_path):
    X, y = blobs
    model = clone(classifier("cbc_margin", calibrate="temperature", validation_fraction=0.3)).fit(X, y)
    model.save(tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    plain = classifier("cbc_margin").fit(X, y)
    exported = plain.to_torch()(torch.as_tensor(X)).detach().numpy()
    np.testing.assert_allclose(exported, plain.predict_proba(X), rtol=1e-6)


def test_there_is_no_head_to_replace_and_a_complete_module_hides_the_features(blobs):
    with pytest.raises(TaskError, match="loss 'nearest_mean' predicts from the features; leave head out"):
        classifier(head=nn.Linear).fit(*blobs)
    with pytest.raises(TaskError, match="the module is complete"):
        classifier(module=lambda n_features, n_outputs: nn.Linear(n_features, n_outputs)).fit(*blobs)


def test_without_a_link_it_predicts_nothing(blobs):
    with pytest.raises(TaskError, match="loss 'center' works on embeddings and makes no prediction"):
        classifier("center").fit(*blobs)
