import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn
from torch.nn.functional import cross_entropy, linear

from sklearnloss import Loss, loss
from sklearnloss.exceptions import MissingFactError, ModuleError, TaskError
from sklearnloss.training.heads import CosineHead, HiddenHead, LinearHead, ScoreHead


class Backbone(nn.Module):
    def __init__(self, n_features, width=6):
        super().__init__()
        self.layer = nn.Linear(n_features, width)

    def forward(self, X):
        return torch.relu(self.layer(X))


class Complete(nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_features, n_outputs)

    def forward(self, X):
        return self.layer(X)


class Named(Complete):
    """It names everything that there is to name."""

    given = None

    def __init__(self, n_features, n_outputs, n_classes, random_state, dropout=0.0):
        super().__init__(n_features, n_outputs)
        type(self).given = (n_features, n_outputs, n_classes, type(random_state), dropout)


def factory(n_features):
    return nn.Sequential(nn.Linear(n_features, 5), nn.Tanh())


@loss("hidden_ce", task="multiclass")
def hidden_ce(hidden, y, *, head_weight, head_bias):
    """Cross entropy that applies the head itself."""
    return cross_entropy(linear(hidden, head_weight, head_bias), y, reduction="none")


@loss("headed", task="multiclass")
def headed(logits, y, *, features, head_weight, head_bias):
    torch.testing.assert_close(logits, linear(features, head_weight, head_bias))
    return cross_entropy(logits, y, reduction="none")


@pytest.mark.parametrize("module", [Backbone, factory, Complete, lambda n_features, n_outputs: nn.Linear(4, n_outputs)])
def test_a_class_or_factory_is_given_what_it_names(quick, blobs, module):
    model = quick(module=module, max_epochs=60).fit(*blobs)
    assert model.score(*blobs) > 0.9


def test_naming_n_outputs_makes_a_module_complete(quick, blobs):
    complete, backbone = quick(module=Complete).fit(*blobs), quick(module=Backbone).fit(*blobs)
    assert isinstance(complete.net_.module_.head, nn.Identity)
    assert isinstance(backbone.net_.module_.head, LinearHead)
    assert backbone.net_.module_.head.in_features == 6


def test_a_module_may_name_features_outputs_classes_and_seed(quick, two_blobs, labels):
    quick(module=Named).fit(*two_blobs)
    assert Named.given == (3, 2, 2, int, 0.0)
    quick("bce", module=Named).fit(*two_blobs)
    assert Named.given == (3, 1, 2, int, 0.0)
    quick("bce", module=Named).fit(*labels)
    assert Named.given == (6, 3, 3, int, 0.0)


def test_an_instance_is_a_backbone_that_starts_from_its_weights_and_is_left_alone(quick, blobs):
    X, y = blobs
    instance = Backbone(4)
    before = instance.layer.weight.detach().clone()
    still = quick(module=instance, lr=1e-12, max_epochs=1).fit(X, y)
    torch.testing.assert_close(still.net_.module_.backbone.layer.weight.float(), before)
    moved = quick(module=instance).fit(X, y)
    assert not torch.equal(moved.net_.module_.backbone.layer.weight.float(), before)
    assert torch.equal(instance.layer.weight, before)
    assert instance.layer.weight.dtype == torch.float32
    assert clone(moved).fit(X, y).score(X, y) == moved.score(X, y)


@pytest.mark.parametrize("module", [Backbone, Complete, factory, Backbone(4)])
def test_a_module_is_cast_to_the_precision_of_the_data(quick, blobs, module):
    X, y = blobs
    for dtype in (np.float32, np.float64):
        assert quick(module=module, max_epochs=1).fit(X.astype(dtype), y).predict_proba(X).dtype == dtype


def lazy():
    return nn.Sequential(nn.LazyLinear(7), nn.ReLU(), nn.LazyBatchNorm1d())


def test_a_lazy_module_from_a_factory_finds_its_width(quick, blobs):
    model = quick(module=lazy, max_epochs=30).fit(*blobs)
    assert model.net_.module_.head.in_features == 7
    assert model.score(*blobs) > 0.9


def test_an_estimator_with_an_own_module_pickles(quick, blobs):
    model = quick(module=Backbone).fit(*blobs)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.predict_proba(blobs[0]), model.predict_proba(blobs[0]))


# -- what does not fit ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            lambda n_features, n_outputs: nn.Linear(n_features, 5),
            r"takes n_outputs=3 and so must return \(2, 3\) for 2 row",
        ),
        (
            nn.Linear(9, 5),
            r"^module Linear failed on 2 rows of shape \(4,\): mat1 and mat2 shapes cannot be multiplied",
        ),
        (
            nn.Unflatten(1, (2, 2)),
            r"must return features of shape \(n, h\), got \(2, 2, 2\) for 2 rows; end it with nn.Fl",
        ),
        (lambda n_features: "no module", "must make an nn.Module, got str"),
        (3, "^module must be None, an nn.Module, or a class or factory of one, got 3$"),
        (nn.GRU(4, 3), "^module GRU must return a tensor, got tuple$"),
    ],
)
def test_a_module_that_does_not_fit_is_refused_with_the_shape_it_should_have(quick, blobs, module, message):
    with pytest.raises(ModuleError, match=message):
        quick(module=module).fit(*blobs)


def test_a_complete_module_has_no_features_for_a_loss_to_look_at(quick, blobs):
    with pytest.raises(TaskError, match=r"^the module is complete .* give a backbone without n_outputs$"):
        quick(Loss("cross_entropy") + Loss("supcon"), module=Complete).fit(*blobs)


def test_a_complete_module_has_no_head_weight_either(quick, blobs):
    with pytest.raises(
        MissingFactError, match=r"^loss 'headed' needs 'head_weight' \(\(k, h\) weight of the head\), whi"
    ):
        quick(headed, module=Complete).fit(*blobs)


# -- heads ------------------------------------------------------------------------------------------------------------


def test_the_role_of_the_loss_decides_the_head(quick, two_blobs, labels):
    X, y = two_blobs
    heads = {
        name: quick(name, max_epochs=1).fit(X, y).net_.module_.head for name in ("ldr", "bce", "arcface", hidden_ce)
    }
    assert [type(head) for head in heads.values()] == [LinearHead, ScoreHead, CosineHead, HiddenHead]
    assert type(quick("asl", max_epochs=1).fit(*labels).net_.module_.head) is LinearHead


def test_a_head_may_be_the_users(quick, blobs):
    made = []

    def head(in_features, n_outputs):
        made.append((in_features, n_outputs))
        return nn.Sequential(nn.Linear(in_features, 9), nn.ReLU(), nn.Linear(9, n_outputs))

    model = quick(head=head).fit(*blobs)
    assert made == [(8, 3)]
    assert model.score(*blobs) > 0.9


def test_a_linear_model_has_no_hidden_layer(quick, blobs):
    model = quick(hidden_layer_sizes=(), max_epochs=60).fit(*blobs)
    assert model.net_.module_.head.in_features == 4
    assert model.score(*blobs) > 0.9
    names = [type(layer).__name__ for layer in quick(hidden_layer_sizes=[7, 5]).fit(*blobs).net_.module_.backbone]
    assert names == ["Standardize", "Linear", "ReLU", "Linear", "ReLU"]


def test_a_hidden_head_is_applied_by_the_loss_in_training_and_by_the_net_in_prediction(quick, overlapping):
    X, y = overlapping
    hidden, plain = quick(hidden_ce, batch_size=64).fit(X, y), quick(batch_size=64).fit(X, y)
    np.testing.assert_allclose(hidden.predict_proba(X), plain.predict_proba(X), rtol=1e-9)
    np.testing.assert_allclose(hidden.loss_curve_, plain.loss_curve_, rtol=1e-9)


def test_a_loss_may_look_at_the_features_and_at_the_head(quick, blobs):
    assert quick(headed).fit(*blobs).score(*blobs) > 0.9


def test_a_cosine_head_gives_its_weight_as_prototypes(quick, blobs):
    seen = {}

    @loss("proxied", task="multiclass")
    def proxied(cosines, y, *, prototypes):
        seen["prototypes"] = prototypes
        return cross_entropy(8 * cosines, y, reduction="none")

    model = quick(proxied).fit(*blobs)
    assert seen["prototypes"] is model.net_.module_.head.weight
    cosines = model.net_.map_output(blobs[0], lambda output: output.numpy())
    assert np.abs(cosines).max() <= 1 + 1e-12


def test_prototypes_are_missing_where_the_head_is_linear(quick, blobs):
    @loss("wanting", task="multiclass")
    def wanting(logits, y, *, prototypes):
        return logits.sum(1)

    with pytest.raises(
        MissingFactError, match=r"^loss 'wanting' needs 'prototypes' \(.*\), which LossClassifier does not"
    ):
        quick(wanting).fit(*blobs)


# -- layers that depend on the batch ----------------------------------------------------------------------------------


def test_batch_normalisation_survives_one_row_more_than_a_batch(quick, blobs):
    X, y = blobs
    module = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU())
    for n in (16, 17, 33):
        quick(module=module, batch_size=16, max_epochs=2).fit(X[:n], y[:n])


def test_batch_normalisation_uses_running_statistics_in_prediction_and_keeps_them(quick, blobs):
    X, y = blobs
    model = quick(module=nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU()), batch_size=16).fit(X, y)
    norm = model.net_.module_.backbone[1]
    kept = norm.running_mean.clone()
    np.testing.assert_allclose(model.predict_proba(X)[:1], model.predict_proba(X[:1]), rtol=1e-9)
    assert torch.equal(norm.running_mean, kept)
    assert model.score(X, y) > 0.9
