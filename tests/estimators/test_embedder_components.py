"""Every component of embeddings, by name, inside the estimator."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from sklearnloss import Distance, MetricEmbedder, Sampler, View, components

X, Y = load_digits(return_X_y=True)
X, Y = X[:240].astype(np.float32), Y[:240]


def quick(loss, **params):
    small = {"embedding_dim": 8, "hidden_layer_sizes": (32,), "lr": 0.003, "max_epochs": 3, "random_state": 0}
    return MetricEmbedder(loss, **(small | params))


def of_kind(kind, keep=lambda component: True):
    return [pytest.param(c, id=c.full_name) for c in components(kind) if keep(c)]


def on_embeddings(component):
    return component.role in ("embeddings", "view_a") and "output" not in component.needs


@pytest.mark.parametrize("component", of_kind("loss", on_embeddings))
def test_a_loss_trains_by_name(component):
    views = "noise" if component.role == "view_a" else None
    facts = {}
    if "distances" in component.needs:
        facts["distances"] = np.linalg.norm(X[:, None] - X, axis=2)
    y = Y.astype(float) if component.task == "regression" else Y
    model = quick(component.full_name, views=views, normalize="distances" not in facts).fit(X, y, **facts)
    assert np.isfinite(model.transform(X)).all()
    assert len(set(model.loss_curve_)) == 3
    assert model.net_.epoch_ == 3


@pytest.mark.parametrize("loss", ["triplet", "contrastive", "supcon"])
@pytest.mark.parametrize("component", of_kind("miner"))
def test_a_miner_works_with_losses_over_pairs_and_triplets(component, loss):
    waits = "warmup_epochs" in {p.name for p in component.parameters}
    model = quick(loss, miner=component.full_name)
    if waits:
        model.set_params(miner__warmup_epochs=1)
    model.fit(X, Y)
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(model.transform(X)).all()


@pytest.mark.parametrize("name", [c.full_name for c in components("miner") if c.name not in ("all", "ance", "mochi")])
def test_a_miner_changes_what_is_learnt(name):
    plain, mined = (quick("supcon", miner=miner) for miner in (None, name))
    assert not np.allclose(plain.fit(X, Y).transform(X), mined.fit(X, Y).transform(X))


@pytest.mark.parametrize("component", of_kind("distance"))
def test_a_distance_works_with_losses_on_distances(component):
    takes = [c for c in components("loss") if "distance" in c.wishes]
    assert len(takes) >= 4
    for loss in takes:
        model = quick(loss.full_name, distance=Distance(component.full_name), max_epochs=2).fit(X, Y)
        assert np.isfinite(model.transform(X)).all(), loss.name


@pytest.mark.parametrize("component", of_kind("mixup", lambda c: c.role == "embeddings"))
def test_a_mixup_of_embeddings_works_and_changes_what_is_learnt(component):
    plain, mixed = (quick("contrastive", mixup=mixup).fit(X, Y).transform(X) for mixup in (None, component.full_name))
    assert np.isfinite(mixed).all()
    assert not np.allclose(plain, mixed)


@pytest.mark.parametrize(
    "component", of_kind("sampler", lambda c: "block" not in c.needs and c.name not in ("dual", "whole_bags"))
)
def test_a_sampler_feeds_the_estimator(component):
    facts = {"group": Y // 5} if "group" in (*component.data, *component.needs) else {}
    model = quick("supcon", sampler=Sampler(component.full_name), batch_size=40).fit(X, Y, **facts)
    assert np.isfinite(model.transform(X)).all()


def test_samplers_of_embeddings_look_anew_every_few_epochs(monkeypatch):
    from sklearnloss.training.net import LossNet

    seen = []
    embed = LossNet.embed
    monkeypatch.setattr(LossNet, "embed", lambda self, rows: seen.append(self.epoch_) or embed(self, rows))
    quick("supcon", sampler=Sampler("knn_batch", refresh=2), max_epochs=5).fit(X, Y)
    assert seen == [0, 2, 4]


@pytest.mark.parametrize("component", of_kind("view"))
def test_a_view_teaches_without_labels(component):
    shaped = {"image_shape": (8, 8)} if "image_shape" in {p.name for p in component.parameters} else {}
    model = quick("ntxent", views=View(component.full_name, **shaped), max_epochs=5).fit(X)
    assert np.isfinite(model.transform(X)).all()
    assert model.loss_curve_[-1] < model.loss_curve_[0]
