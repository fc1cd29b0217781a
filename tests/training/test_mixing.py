"""Mixups that act within the network."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from skorch.callbacks import Callback
from torch import nn

from sklearnloss import Loss, LossClassifier, Mixup, load
from sklearnloss.component import mixup
from sklearnloss.exceptions import TaskError

X, y = load_iris(return_X_y=True)
SHORT = {"max_epochs": 3, "hidden_layer_sizes": (8,), "random_state": 0}


class TwicePerStep(torch.optim.SGD):
    """Asks for the loss again, as methods that look around before they step do."""

    seen: list = []  # noqa: RUF012

    def step(self, closure):
        first, second = closure(), closure()
        type(self).seen.append((first.item(), second.item()))
        super().step()
        return second


@pytest.mark.parametrize("name", ["manifold_mixup", "sumix"])
def test_all_passes_of_a_step_mix_alike(name):
    TwicePerStep.seen = []
    LossClassifier(mixup=name, optimizer=TwicePerStep, **SHORT).fit(X, y)
    assert len(TwicePerStep.seen) == 6
    for first, second in TwicePerStep.seen:
        assert first == second
    assert len({first for first, _ in TwicePerStep.seen}) == 6


@pytest.mark.parametrize("name", ["manifold_mixup", "sumix"])
@pytest.mark.parametrize("loss", ["cross_entropy", "arcface", "cut_cross_entropy"])
def test_goes_with_every_head(name, loss):
    model = LossClassifier(loss, mixup=name, **SHORT).fit(X, y)
    assert np.isfinite(model.loss_curve_).all()
    assert model.predict(X).shape == y.shape


def test_what_it_adds_is_part_of_the_loss_and_has_the_weights_of_rows():
    @mixup("adds")
    def adds(X, y, *, rng, module, sample_weight=None):
        return module.backbone(X), y, y, X.new_ones(()), X[:, 0] * 0 + 100.0

    weights = np.where(y == 0, 0.0, 1.0)
    for sample_weight in (None, weights):
        plain = LossClassifier(**SHORT).fit(X, y, sample_weight=sample_weight)
        model = LossClassifier(mixup=adds, **SHORT).fit(X, y, sample_weight=sample_weight)
        added = [row["train_loss_adds"] for row in model.history_]
        assert added == pytest.approx([100.0] * 3)
        assert model.loss_curve_ == pytest.approx([v + 100 for v in plain.loss_curve_])


def test_its_parameters_are_trained_without_decay_and_go_on():
    model = LossClassifier(mixup="sumix", warm_start=True, weight_decay=0.1, **SHORT).fit(X, y)
    part = model.net_.criterion_.mixing.mix
    groups = model.net_.optimizer_.param_groups
    assert [g["weight_decay"] for g in groups if any(p is part.unsure.weight for p in g["params"])] == [0.0]
    before = part.unsure.weight.detach().clone()
    model.fit(X, y)
    assert model.net_.criterion_.mixing.mix is part
    assert not torch.equal(before, part.unsure.weight)
    other = model.set_params(mixup__weight=0.5).fit(X, y).net_.criterion_.mixing.mix
    assert other is not part


def test_a_saved_model_has_its_parameters_and_goes_on(tmp_path):
    model = LossClassifier(mixup="sumix", warm_start=True, **SHORT).fit(X, y)
    model.save(tmp_path / "model.sklearnloss")
    again = load(tmp_path / "model.sklearnloss")
    kept, own = (m.net_.criterion_.mixing.mix.unsure.weight for m in (again, model))
    assert torch.equal(kept, own)
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.fit(X, y).n_iter_ == 6


def test_a_fit_that_was_stopped_goes_on_to_the_same_weights(tmp_path):
    def model(**more):
        return LossClassifier(mixup="sumix", **(SHORT | more))

    whole = model(max_epochs=4).fit(X, y)

    class Stop(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if net.epoch_ == 2:
                raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        model(max_epochs=4, checkpoint=tmp_path, callbacks=[Stop()]).fit(X, y)
    Stop.on_epoch_begin = Callback.on_epoch_begin
    again = model(max_epochs=4, checkpoint=tmp_path, callbacks=[Stop()]).fit(X, y)
    assert again.loss_curve_ == whole.loss_curve_
    assert np.array_equal(again.predict_proba(X), whole.predict_proba(X))


def test_what_it_cannot_mix_is_refused():
    class Complete(nn.Module):
        def __init__(self, n_features, n_outputs):
            super().__init__()
            self.layer = nn.Linear(n_features, n_outputs)

        def forward(self, X):
            return self.layer(X)

    with pytest.raises(TaskError, match="module is complete"):
        LossClassifier(module=Complete, mixup="manifold_mixup", **SHORT).fit(X, y)
    looks = Loss("cross_entropy") + 0.1 * Loss("smooth_adv_comp_sum")
    with pytest.raises(TaskError, match="mixes within the network"):
        LossClassifier(looks, mixup="manifold_mixup", **SHORT).fit(X, y)
    with pytest.raises(TaskError, match="leave mixup out"):
        LossClassifier("elr", mixup=Mixup("sumix"), **SHORT).fit(X, y)
