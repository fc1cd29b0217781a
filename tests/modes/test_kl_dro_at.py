import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional as F

from sklearnloss import Loss, LossClassifier, LossRegressor, Mode, Reduction, load, loss, mixup, mode
from sklearnloss.exceptions import ParameterError, TaskError
from sklearnloss.functional.gradients import pgd
from sklearnloss.modes.kl_dro_at import KLDROAdversarialTraining
from sklearnloss.reductions.mean import mean
from sklearnloss.training.net import LossNet


def two_classes(n=60, d=3, seed=0):
    """Return rows in columns of different scales, and classes."""
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=n)
    return (rng.normal(size=(n, d)) + y[:, None]) * [1.0, 10.0, 0.1][:d] + 5.0, y


def small(mode="kl_dro_at", loss="cross_entropy", **how):
    given = {"hidden_layer_sizes": (8,), "max_epochs": 4, "lr": 0.02, "batch_size": 25, "random_state": 0} | how
    return (given.pop("cls", LossClassifier))(loss, mode=mode, **given)


def linear(mode="kl_dro_at", **how):
    """Return a classifier whose worst rows are known: one score, linear in the columns."""
    return small(mode, **({"loss": "bce", "hidden_layer_sizes": (), "lr": 0.05, "max_epochs": 10} | how))


def worst(module, X, y, eps):
    """Return the worst rows of a linear score in the box: the corner that lies against the class."""
    scale = 1 / module.backbone[0].factor
    return X - eps * scale * (2 * y[:, None].to(X.dtype) - 1) * module.head.weight.sign()


class ByHand:
    """Adversarial training of a linear score, without a search."""

    def __init__(self, *, eps: float = 0.1):
        self.eps = eps

    def step(self, closure, optimizer):
        batch = closure.batch
        with torch.no_grad():
            X = worst(closure.net.module_, batch["X"], batch["y"], self.eps)
        closure.batch = batch | {"X": X}
        optimizer.step(closure)


by_hand = mode("by_hand")(ByHand)


@loss("number_of_the_class", task="multiclass")
def number_of_the_class(logits, y):
    return y.to(logits.dtype) + 0 * logits.sum(1)


@loss("of_features", task="any", unit="batch")
def of_features(*, features):
    return 0.01 * features.square().mean()


@pytest.fixture
def attacks(monkeypatch):
    """Note each batch before and after its attack, with the network as it was."""
    seen, step = [], KLDROAdversarialTraining.step

    def noted(self, closure, optimizer):
        before = closure.batch
        weights = {name: value.clone() for name, value in closure.net.module_.state_dict().items()}
        step(self, closure, optimizer)
        seen.append((before, closure.batch, weights))

    monkeypatch.setattr(KLDROAdversarialTraining, "step", noted)
    return seen


# -- the objective ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lam", "expected"), [(0.1, 1.890143), (1.0, 1.308994), (10.0, 1.033306), (1000.0, 1.000333)])
def test_rows_of_losses_0_1_and_2_give_the_worked_numbers(lam, expected):
    model = small(Mode("kl_dro_at", lam=lam), number_of_the_class, max_epochs=1)
    X = np.array([[0.0], [1.0], [2.0]])
    assert model.fit(X, [0, 1, 2]).loss_curve_ == pytest.approx([expected], abs=1e-6)


@pytest.mark.parametrize("precision", ["fp64", "fp32"])
@pytest.mark.parametrize("params", [{}, {"lam": 0.3, "decay": 0.5}])
@pytest.mark.parametrize("weighted", [False, True])
def test_without_a_box_it_is_training_with_kl_dro_to_the_bit(precision, params, weighted):
    X, y = two_classes()
    weight = np.random.default_rng(1).gamma(1.0, size=60) if weighted else None
    how = {"precision": precision, "dropout": 0.3}  # which would differ if the attack drew any
    ours = small(Mode("kl_dro_at", eps=0.0, **params), **how).fit(X, y, sample_weight=weight)
    theirs = small(None, reduction=Reduction("kl_dro", **params), **how).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))
    assert ours.loss_curve_ == theirs.loss_curve_


def test_a_high_temperature_is_plain_adversarial_training():
    X, y = two_classes()
    ours = linear(Mode("kl_dro_at", lam=1e8, eps=0.3)).fit(X, y)
    plain = linear(Mode(by_hand, eps=0.3)).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), plain.predict_proba(X), rtol=1e-6)
    still = linear(Mode(by_hand, eps=0.0)).fit(X, y)
    assert np.abs(still.predict_proba(X) - plain.predict_proba(X)).max() > 0.01


@pytest.mark.parametrize("weighted", [False, True])
def test_otherwise_it_is_kl_dro_of_the_worst_rows(weighted):
    X, y = two_classes()
    weight = np.random.default_rng(1).gamma(1.0, size=60) if weighted else None
    ours = linear(Mode("kl_dro_at", lam=0.5, eps=0.3)).fit(X, y, sample_weight=weight)
    theirs = linear(Mode(by_hand, eps=0.3), reduction=Reduction("kl_dro", lam=0.5)).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_)


def test_a_weight_is_a_repetition():
    X, y = two_classes()
    weight = np.random.default_rng(1).integers(0, 3, size=60)
    ours = linear(Mode("kl_dro_at", lam=0.5), batch_size=200).fit(X, y, sample_weight=weight)
    repeated = linear(Mode("kl_dro_at", lam=0.5), batch_size=200).fit(X.repeat(weight, axis=0), y.repeat(weight))
    np.testing.assert_allclose(ours.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)


# -- the attack -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_stay_in_the_box_and_their_loss_is_raised(attacks, dtype):
    X, y = two_classes()
    X = X.astype(dtype)
    model = small(Mode("kl_dro_at", eps=0.2), activation="tanh").fit(X, y)  # with relu a row may be where all is flat
    assert len(attacks) == 4 * 3
    for before, after, weights in attacks:
        model.net_.module_.load_state_dict(weights)
        moved = (after["X"] - before["X"]).numpy() / X.std(axis=0)
        assert after["X"].dtype == before["X"].dtype == torch.from_numpy(X).dtype
        assert np.abs(moved).max() == pytest.approx(0.2, rel=1e-3)
        with torch.no_grad():
            still, hurt = (
                F.cross_entropy(model.net_.module_(b["X"]), b["y"], reduction="none") for b in (before, after)
            )
        assert (hurt > still).all()
        assert torch.equal(before["y"], after["y"])


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_of_a_linear_score_the_worst_corner_is_found(attacks, steps):
    X, y = two_classes()
    model = linear(Mode("kl_dro_at", eps=0.2, steps=steps), max_epochs=1).fit(X, y)
    for before, after, weights in attacks:
        model.net_.module_.load_state_dict(weights)
        corner = worst(model.net_.module_, before["X"], before["y"], 0.2).detach()
        # 2.5 half sides lead from any start to any corner
        torch.testing.assert_close(after["X"], corner)


@pytest.mark.parametrize("network", ["not standardized", "a module"])
def test_without_standardization_the_box_is_in_units_of_the_columns(attacks, network):
    X, y = two_classes()
    how = {"standardize": False} if network == "not standardized" else {"module": nn.Sequential(nn.Linear(3, 4))}
    small(Mode("kl_dro_at", eps=0.2), max_epochs=1, **how).fit(X, y)
    for before, after, _ in attacks:
        np.testing.assert_allclose((after["X"] - before["X"]).abs().numpy().max(axis=0), 0.2, rtol=1e-6)


def test_a_search_without_a_slope_ends_where_it_starts_at_random_in_the_box(attacks):
    X, y = two_classes(n=400)
    for seed in (0, 0, 1):
        model = small(Mode("kl_dro_at", eps=0.2), number_of_the_class, batch_size=400, max_epochs=1, random_state=seed)
        model.fit(X, y)
    first, same, other = (((after["X"] - before["X"]).numpy() / X.std(axis=0)) for before, after, _ in attacks)
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    np.testing.assert_allclose(
        [first.min(), first.mean(), first.max(), first.std()], [-0.2, 0, 0.2, 0.2 / 3**0.5], atol=0.01
    )


def test_batch_statistics_and_state_move_once_a_step():
    class Norm(nn.Sequential):
        def __init__(self, n_features):
            super().__init__(nn.Linear(n_features, 4), nn.BatchNorm1d(4))

    @loss("counted", task="multiclass")
    class Counted(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def forward(self, logits, y, *, features):
            self.calls += self.training
            return F.cross_entropy(logits, y, reduction="none") + 0.1 * features.square().mean(1)

    X, y = two_classes()
    model = small(loss=Counted, module=Norm).fit(X, y)
    assert model.net_.module_.backbone[1].num_batches_tracked == 4 * 3
    assert model.net_.criterion_.terms[0].modules_[0].calls == 4 * 3


def test_gradients_of_the_attack_are_not_left_in_the_weights():
    X, y = two_classes()
    seen = []

    class Watching(torch.optim.SGD):
        def step(self, closure):
            seen.extend(p.grad for group in self.param_groups for p in group["params"])
            return super().step(closure)

    small(optimizer=Watching, max_epochs=1, batch_size=100).fit(X, y)
    assert seen
    assert all(gradient is None for gradient in seen)


@pytest.mark.parametrize("how", [{"precision": "bf16"}, {"mixup": "mixup"}, {"loss": Loss("ldr") + Loss(of_features)}])
def test_other_ways_to_train_go_with_it(how):
    X, y = two_classes(n=100)
    model = small(max_epochs=15, **how).fit(X, y)
    assert model.score(X, y) > 0.75
    assert np.isfinite(model.loss_curve_).all()


def test_mixed_rows_are_attacked_for_both_labels(attacks):
    X, y = two_classes()
    model = linear(Mode("kl_dro_at", eps=0.1, lam=1e6), mixup="mixup", max_epochs=1).fit(X, y)
    for before, after, weights in attacks:
        model.net_.module_.load_state_dict(weights)
        lam, s = before["lam"], model.net_.module_(before["X"]).detach()
        slope = torch.sigmoid(s) - lam * before["y"] - (1 - lam) * before["y_b"]
        uphill = slope.sign()[:, None] * model.net_.module_.head.weight.sign().detach()
        moved = (after["X"] - before["X"]) * model.net_.module_.backbone[0].factor
        sure = slope.abs() > 0.2  # whose slope has the same sign in all of the box
        assert sure.any()
        torch.testing.assert_close(moved[sure], 0.1 * uphill[sure], rtol=1e-4, atol=1e-6)


def test_numbers_are_learned_by_name():
    X, _ = two_classes(n=100)
    model = small(cls=LossRegressor, loss="mse", max_epochs=20).fit(X, X[:, 0] + X[:, 2] * 10)
    assert model.score(X, X[:, 0] + X[:, 2] * 10) > 0.7


# -- its place --------------------------------------------------------------------------------------------------------


def test_what_it_does_not_go_with_is_refused():
    X, y = two_classes()

    @mixup("within")
    def within(X, y, *, module, rng):
        return module.backbone(X), y, y.flip(0), torch.full_like(X[:, 0], 0.7)

    with pytest.raises(TaskError, match=r"^mode 'kl_dro_at' reduces by 'kl_dro' itself; leave reduction='mean'"):
        small(reduction="kl_dro").fit(X, y)
    with pytest.raises(TaskError, match="weighs rows by one loss, here are loss 'ldr' and loss 'focal'"):
        small(loss=Loss("ldr") + Loss("focal")).fit(X, y)
    with pytest.raises(TaskError, match="but loss 'aucm' has a value per batch"):
        small(loss="aucm").fit(X, y)
    with pytest.raises(TaskError, match="attacks single rows, and this mixup mixes them within the network"):
        small(mixup=within).fit(X, y)
    for name, value in {"lam": 0.0, "decay": 1.0, "eps": -0.1, "steps": 0}.items():
        with pytest.raises(ParameterError, match=name):
            Mode("kl_dro_at", **{name: value}).choose()


def test_the_reduction_is_the_users_again_after_a_step_that_fails():
    class Failing(torch.optim.SGD):
        def step(self, closure):
            closure()
            raise KeyboardInterrupt

    X, y = two_classes()
    model = small(optimizer=Failing)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    (term,) = model.net_.criterion_.terms
    assert (term.reduction, term.plain_mean) == (mean, True)


@pytest.mark.parametrize("precision", ["fp64", "fp32"])
def test_a_fit_that_was_interrupted_goes_on_from_its_checkpoint_to_the_bit(tmp_path, monkeypatch, precision):
    class Stop(Exception):
        pass

    X, y = two_classes()
    how = {"precision": precision, "dropout": 0.3, "checkpoint": tmp_path}
    whole = small(**how | {"checkpoint": None}).fit(X, y)
    step = LossNet.train_step

    def stopping(net, batch, **more):
        if net.epoch_ == 2:
            raise Stop
        return step(net, batch, **more)

    with monkeypatch.context() as patch:
        patch.setattr(LossNet, "train_step", stopping)
        with pytest.raises(Stop):
            small(**how).fit(X, y)
    again = small(**how).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), whole.predict_proba(X))
    assert again.loss_curve_ == whole.loss_curve_


@pytest.mark.parametrize("precision", ["fp64", "fp32"])
def test_the_running_normalizer_is_saved(tmp_path, precision):
    X, y = two_classes()
    model = small(Mode("kl_dro_at", lam=0.4), precision=precision).fit(X, y)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    ours, kept = (m.net_.mode.state_dict() for m in (model, again))
    assert ours.keys() == kept.keys() == {"log_sum", "log_weight"}
    for name, value in ours.items():
        assert value.isfinite()
        assert torch.equal(value, kept[name])
        assert value.dtype == kept[name].dtype
    np.testing.assert_array_equal(model.partial_fit(X, y).predict_proba(X), again.partial_fit(X, y).predict_proba(X))


# -- what it is for ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_more_rows_withstand_an_attack_and_the_worst_of_them_lose_less(seed):
    X, y = load_breast_cancer(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, random_state=seed, stratify=y)
    rows, labels = torch.from_numpy(X_test), torch.from_numpy(y_test)
    how = {"hidden_layer_sizes": (32,), "max_epochs": 20, "lr": 0.01, "random_state": seed}
    right, tail = [], []
    for given in (None, Mode("kl_dro_at", eps=0.3, steps=5, lam=1e6), Mode("kl_dro_at", eps=0.3, steps=5)):
        net = LossClassifier(mode=given, **how).fit(X, y).net_.module_
        unit, rng = torch.from_numpy(X.std(axis=0)), torch.Generator().manual_seed(0)
        hurt = pgd(
            net, rows, lambda output: F.cross_entropy(output, labels, reduction="none"), x_scale=unit, eps=0.3,
            steps=20, rng=rng,
        )  # fmt: skip
        with torch.no_grad():
            output = net(hurt)
        right.append((output.argmax(1) == labels).double().mean().item())
        losses = F.cross_entropy(output, labels, reduction="none").sort(descending=True).values
        tail.append(losses[: int(0.3 * len(losses))].mean().item())
    plain, adversarial, robust = range(3)
    assert right[robust] > right[plain] + 0.03
    assert tail[robust] < tail[adversarial] < tail[plain]
