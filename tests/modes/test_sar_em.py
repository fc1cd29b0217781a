import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.preprocessing import scale
from torch import nn
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier, LossRegressor, Mode, load, loss
from sklearnloss.exceptions import DataError, ParameterError, TaskError
from sklearnloss.modes.sar_em import SAREM, log_likelihood, posterior
from sklearnloss.training.net import LossNet

LINEAR = {"hidden_layer_sizes": (), "lr": 0.05, "max_epochs": 8, "batch_size": 40, "random_state": 0}


def problem(n=120, seed=0):
    """Return rows of unlike columns, and labels of some of the positives, by the second column."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, 2.0]
    y = X[:, 0] + 0.5 * rng.normal(size=n) > 0
    return X, (y & (rng.random(n) < 1 / (1 + np.exp(-(X[:, 1] - 5.0) / 5.0)))).astype(int)


def model(loss="bce", *, cls=LossClassifier, **params):
    given = {"attributes": [1], "warmup": 2}
    how = {name: params.pop(name) for name in [*params] if name not in ("attributes", "warmup", "C", "tol")}
    return cls(loss, mode=Mode("sar_em", **(given | params)), **(LINEAR | how))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.fixture
def steps(monkeypatch):
    """Note the batches before and after the mode, and the network and the propensities before the step."""
    seen, step = [], SAREM.step

    def noted(self, closure, optimizer):
        net, before = closure.net, closure.batch
        weights = {name: value.clone() for name, value in net.module_.state_dict().items()}
        known = None if self.coef_ is None else (self.coef_.copy(), self.intercept_)
        step(self, closure, optimizer)
        gradient = [p.grad.clone() for p in net.module_.parameters()]
        seen.append((before, closure.batch, weights, known, gradient))

    monkeypatch.setattr(SAREM, "step", noted)
    return seen


# -- a row ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("f", "e", "s", "expected"), [(0.5, 0.5, 0, 1 / 3), (0.5, 0.5, 1, 1.0), (0.8, 0.25, 0, 0.75)])
def test_the_posterior_has_the_worked_numbers(f, e, s, expected):
    score, log_odds = (torch.tensor([math.log(p / (1 - p))], dtype=torch.float64) for p in (f, e))
    assert posterior(score, log_odds, torch.tensor([float(s)])).item() == pytest.approx(expected)


def test_posterior_and_likelihood_are_those_of_probabilities():
    rng = np.random.default_rng(0)
    scores, log_odds, s = 3 * rng.normal(size=50), 3 * rng.normal(size=50), rng.integers(2, size=50)
    given = torch.tensor(scores), torch.tensor(log_odds), torch.tensor(s).double()
    for i, (q, likelihood) in enumerate(zip(posterior(*given), log_likelihood(*given), strict=True)):
        f, e = sigmoid(scores[i]), sigmoid(log_odds[i])
        assert q.item() == pytest.approx(s[i] + (1 - s[i]) * f * (1 - e) / (1 - f * e))
        assert likelihood.item() == pytest.approx(s[i] * math.log(f * e) + (1 - s[i]) * math.log(1 - f * e))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sure_rows_have_a_posterior_and_a_likelihood(dtype):
    far = torch.tensor([-200.0, 0.0, 200.0], dtype=dtype)
    scores, log_odds, s = (t.flatten() for t in torch.meshgrid(far, far, far.new_tensor([0.0, 1.0]), indexing="ij"))
    q, likelihood = posterior(scores, log_odds, s), log_likelihood(scores, log_odds, s)
    assert q.dtype == likelihood.dtype == dtype
    assert ((q >= 0) & (q <= 1)).all()
    assert likelihood.isfinite().all()
    assert q[(s == 0) & (log_odds > 100) & (scores == 0)].item() == pytest.approx(
        0, abs=1e-30
    )  # has no label: negative
    assert q[(s == 0) & (log_odds > 100) & (scores > 100)].item() == pytest.approx(0.5)  # 1 - f and 1 - e are the same


# -- a step -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_a_step_climbs_the_likelihood_of_the_labels(steps, weighted):
    X, s = problem()
    weight = np.random.default_rng(1).gamma(2.0, size=120) if weighted else None
    fitted = model(hidden_layer_sizes=(4,), activation="tanh").fit(X, s, sample_weight=weight)
    rounds = [one for one in steps if one[3] is not None]
    assert len(rounds) == 6 * 3
    for before, _, weights, (coef, intercept), gradient in rounds:
        fitted.net_.module_.load_state_dict(weights)
        f = fitted.net_.module_(before["X"]).sigmoid()
        e = torch.sigmoid(before["X"][:, 1] * coef[0] + intercept)
        labels = before["y"] * (f * e).log() + (1 - before["y"]) * (1 - f * e).log()
        mean = -(before.get("sample_weight", torch.ones(len(f))) * labels).mean()
        for ours, wanted in zip(gradient, torch.autograd.grad(mean, [*fitted.net_.module_.parameters()]), strict=True):
            assert_close(ours, wanted)


@pytest.mark.parametrize("precision", ["fp32", "fp64"])
def test_classes_are_guessed_with_dropout_off(steps, precision):
    X, s = problem()
    fitted = model(hidden_layer_sizes=(30,), dropout=0.5, precision=precision).fit(X, s)
    for before, after, weights, known, _ in steps:
        fitted.net_.module_.load_state_dict(weights)
        if known is None:
            assert not {"lam", "y_b"} & after.keys()
            assert torch.equal(after["y"], before["y"])
            continue
        with torch.no_grad():
            scores = fitted.net_.module_(before["X"])
        f, e = scores.sigmoid(), torch.sigmoid(before["X"][:, 1] * known[0][0] + known[1])
        assert after["lam"].dtype == scores.dtype == (torch.float64 if precision == "fp64" else torch.float32)
        assert_close(after["lam"], torch.where(before["y"] > 0, 1.0, f * (1 - e) / (1 - f * e)), rtol=1e-4, atol=1e-6)
        assert (after["y"] == 1).all()
        assert (after["y_b"] == 0).all()


def test_state_of_a_loss_moves_once_a_step():
    @loss("counted_bce", task="binary")
    class Counted(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def forward(self, scores, y):
            self.calls += self.training
            return nn.functional.binary_cross_entropy_with_logits(scores, y, reduction="none")

    assert model(Counted).fit(*problem()).net_.criterion_.terms[0].modules_[0].calls == 8 * 3


@pytest.mark.parametrize("weighted", [False, True])
def test_the_warm_up_makes_labels_equally_common(steps, weighted):
    X, s = problem()
    weight = np.random.default_rng(1).integers(1, 4, size=120).astype(float) if weighted else None
    model(max_epochs=2, warmup=2).fit(X, s, sample_weight=weight)
    labeled, total = 1.0, 2.0  # one row of each label, before the first
    for before, after, *_ in steps:
        s, w = before["y"].double(), before.get("sample_weight", torch.ones(40))
        labeled, total = labeled + float((w * s).sum()), total + float(w.sum())
        assert_close(
            after["sample_weight"], w * (s * 0.5 * total / labeled + (1 - s) * 0.5 * total / (total - labeled))
        )
    w, s = (torch.cat([one[1][name] for one in steps[3:]]) for name in ("sample_weight", "y"))
    assert w[s == 1].sum().item() == pytest.approx(w[s == 0].sum().item(), rel=0.1)


# -- propensities -----------------------------------------------------------------------------------------------------


def test_the_first_propensities_are_of_labels_among_likely_positives(monkeypatch):
    seen, learn = [], SAREM._learn

    def noted(self, X, s, weights, q):
        seen.append((X, s, weights, q))
        learn(self, X, s, weights, q)

    monkeypatch.setattr(SAREM, "_learn", noted)
    X, s = problem()
    weight = np.random.default_rng(1).gamma(2.0, size=120)
    fitted = model(max_epochs=5, warmup=2, lr=1e-12).fit(X, s, sample_weight=weight)  # the network stays
    f, (order, back) = fitted.predict_proba(X)[:, 1], (np.argsort(X[:, 1]), np.argsort(np.argsort(X[:, 1])))
    assert len(seen) == 4
    for columns, labels, weights, _ in seen:
        sort = np.argsort(columns[:, 0])
        np.testing.assert_allclose(columns[sort, 0], X[order, 1])
        np.testing.assert_array_equal(labels[sort], s[order])
        np.testing.assert_allclose(weights[sort], (weight / weight.mean())[order])
    first, second = (q[np.argsort(columns[:, 0])][back] for columns, _, _, q in seen[:2])
    np.testing.assert_allclose(first, np.where(s == 1, 1, f))
    again = SAREM(attributes=[1])
    learn(again, *seen[0])
    e = again.propensity(X)
    np.testing.assert_allclose(second, np.where(s == 1, 1, f * (1 - e) / (1 - f * e)))
    likelihood = np.average(np.where(s == 1, np.log(f * e), np.log(1 - f * e)), weights=weight)
    assert fitted.net_.mode.log_likelihoods_[0] == pytest.approx(likelihood)


def regression(**params):
    rng = np.random.default_rng(0)
    X, s = rng.normal(size=(200, 2)) * [5.0, 0.2] + [3.0, -1.0], rng.integers(2, size=200).astype(float)
    weights, q = rng.gamma(1.0, size=200), np.where(s == 1, 1.0, rng.random(200))
    mode = SAREM(**params)
    mode._learn(X[:, mode._columns(2)], s, weights, q)
    return X, s, weights * q, mode


def test_propensities_fit_the_labels_by_weight():
    X, s, weights, mode = regression(C=1e8)
    residual = weights * (s - sigmoid(X @ mode.coef_ + mode.intercept_))
    np.testing.assert_allclose(np.c_[X, np.ones(200)].T @ residual, 0, atol=1e-3)  # where the likelihood is highest
    np.testing.assert_allclose(mode.propensity(X), sigmoid(X @ mode.coef_ + mode.intercept_))


def test_the_penalty_does_not_ask_for_the_units_of_columns():
    X, s, weights, mode = regression(C=0.02)
    by = np.random.default_rng(0).gamma(1.0, size=200)
    mode._learn(X, s, by, weights / by)
    other = SAREM(C=0.02)
    other._learn(X * [100.0, 0.01] + [7.0, 3.0], s, by, weights / by)
    np.testing.assert_allclose(other.coef_ * [100.0, 0.01], mode.coef_, rtol=1e-3)
    freer = SAREM(C=100.0)
    freer._learn(X, s, by, weights / by)
    assert (abs(freer.coef_) > 1.1 * abs(mode.coef_)).all()


def test_without_attributes_all_positives_have_the_same_chance():
    X, s, weights, mode = regression(attributes=())
    np.testing.assert_allclose(mode.propensity(X), (weights * s).sum() / weights.sum(), rtol=1e-5)


def test_propensities_of_tables_and_sparse_rows_are_those_of_arrays():
    X, s = problem()
    fitted = model(attributes=(2, 0)).fit(X, s)
    mode = fitted.net_.mode
    expected = sigmoid(X[:, [2, 0]] @ mode.coef_ + mode.intercept_)
    for rows in (X, pd.DataFrame(X), csr_array(X), X.astype(np.float32)):
        np.testing.assert_allclose(mode.propensity(rows), expected, rtol=1e-4)
    assert mode.propensity(X[:3]).shape == (3,)
    everything = model(attributes=None).fit(X, s).net_.mode
    assert everything.coef_.shape == (3,)
    np.testing.assert_allclose(everything.propensity(X), sigmoid(X @ everything.coef_ + everything.intercept_))


def test_before_the_first_round_there_are_none():
    X, s = problem()
    fitted = model(warmup=5, max_epochs=4).fit(X, s)
    with pytest.raises(AttributeError, match="knows no propensities yet; its first round comes after 5 epochs"):
        fitted.net_.mode.propensity(X)


# -- rounds -----------------------------------------------------------------------------------------------------------


def test_the_likelihood_rises_and_rounds_are_epochs():
    X, s = problem(400)
    mode = model(max_epochs=30, warmup=10, batch_size=400, tol=0.0).fit(X, s).net_.mode
    assert len(mode.log_likelihoods_) == 20
    assert (np.diff(mode.log_likelihoods_) > 0).all()
    assert not mode.converged_


def test_rounds_end_when_neither_likelihood_nor_propensities_move():
    mode = SAREM(attributes=[0], tol=0.01)
    rows, weights = np.array([[0.0], [1.0]]), np.array([3.0, 1.0])
    rising = np.linspace(0.3, 0.3 + 9 * 0.009, 10)  # of the first row, by 0.009 a round; of the other nothing
    log_odds = np.log(rising / (1 - rising))
    mode._models = [np.array([-v, v]) for v in log_odds]
    for last, weights_of_rows, expected in [
        (0.005, [1.0, 0.0], True),  # 0.009
        (0.005, [3.0, 1.0], True),  # 0.00675
        (0.015, [3.0, 1.0], False),  # the likelihood gains 0.015
    ]:
        mode.log_likelihoods_ = [-9.0, -1.0, *[-1.0] * 8, -1.0 + last]
        assert mode._stands_still(rows, np.array(weights_of_rows)) is expected
    mode.log_likelihoods_ = [-1.0] * 11
    assert mode._stands_still(rows, weights)
    mode.tol = 0.006
    assert not mode._stands_still(rows, weights)
    mode.tol, mode.log_likelihoods_ = 1.0, [-1.0] * 10
    assert not mode._stands_still(rows, weights)  # one round too few


def test_after_the_end_of_rounds_propensities_stay_and_the_network_goes_on(steps):
    X, s = problem()
    fitted = model(max_epochs=20, warmup=2, tol=1e3).fit(X, s)
    mode = fitted.net_.mode
    assert mode.converged_
    assert len(mode.log_likelihoods_) == 11
    known = [one[3][0][0] for one in steps[2 * 3 :: 3]]
    assert len(set(known)) == 12  # those of the warm-up, and eleven more
    assert set(known[11:]) == {mode.coef_[0]}
    q = [one[1]["lam"].sum().item() for one in steps[-6:]]
    assert len(set(q)) == 6
    assert mode._rows == []


@pytest.mark.parametrize("hidden", [(), (8,)])
def test_a_fit_that_was_interrupted_goes_on_from_its_checkpoint_to_the_bit(tmp_path, monkeypatch, hidden):
    class Stop(Exception):
        pass

    X, s = problem()
    how = {"hidden_layer_sizes": hidden, "max_epochs": 20}
    whole = model(**how).fit(X, s)
    step = LossNet.train_step
    for epoch in (1, 5, 17):

        def stopping(net, batch, *, at=epoch, **more):
            if net.epoch_ == at:
                raise Stop
            return step(net, batch, **more)

        with monkeypatch.context() as patch:
            patch.setattr(LossNet, "train_step", stopping)
            with pytest.raises(Stop):
                model(checkpoint=tmp_path, **how).fit(X, s)
    again = model(checkpoint=tmp_path, **how).fit(X, s)
    np.testing.assert_array_equal(again.predict_proba(X), whole.predict_proba(X))
    assert again.net_.mode.log_likelihoods_ == whole.net_.mode.log_likelihoods_
    np.testing.assert_array_equal(again.net_.mode.coef_, whole.net_.mode.coef_)


def test_what_was_learned_is_saved(tmp_path):
    X, s = problem()
    fitted = model(max_epochs=6).fit(X, s)
    fitted.save(tmp_path / "model")
    again = load(tmp_path / "model")
    np.testing.assert_array_equal(again.net_.mode.propensity(X), fitted.net_.mode.propensity(X))
    for one in (fitted, again):
        one.partial_fit(X, s)
    np.testing.assert_array_equal(again.net_.mode.coef_, fitted.net_.mode.coef_)
    assert again.net_.mode.log_likelihoods_ == fitted.net_.mode.log_likelihoods_
    assert len(again.net_.mode.log_likelihoods_) == 5


def test_an_epoch_that_was_broken_off_leaves_no_rows_behind(monkeypatch):
    X, s = problem()
    fitted, counts, learn = model(max_epochs=3).fit(X, s), [], SAREM._learn
    step = LossNet.train_step

    def breaking(net, batch, **more):
        result = step(net, batch, **more)
        if len(net.mode._rows) == 2:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(SAREM, "_learn", lambda self, *of: counts.append(len(of[0])) or learn(self, *of))
    with monkeypatch.context() as patch:
        patch.setattr(LossNet, "train_step", breaking)
        with pytest.raises(KeyboardInterrupt):
            fitted.partial_fit(X, s)
    fitted.partial_fit(X, s)
    assert counts == [120]


def test_an_epoch_of_one_label_is_refused():
    X, s = problem()
    fitted = model(max_epochs=3).fit(X, s)
    with pytest.raises(DataError, match="needs rows with a label and rows without one in each epoch, but all have s=0"):
        fitted.partial_fit(X[s == 0], s[s == 0])


def test_a_weight_is_a_repetition():
    X, s = problem()
    weight = np.random.default_rng(1).integers(1, 4, size=120)
    how = {"batch_size": 1000, "max_epochs": 12, "C": 1e6}  # a penalty is for the number of rows
    weighted = model(**how).fit(X, s, sample_weight=weight)
    repeated = model(**how).fit(X.repeat(weight, axis=0), s.repeat(weight))
    # but for the two rows before the first
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=0.003)
    np.testing.assert_allclose(weighted.net_.mode.propensity(X), repeated.net_.mode.propensity(X), atol=0.003)
    plain = model(**how).fit(X, s)
    assert np.abs(plain.net_.mode.propensity(X) - weighted.net_.mode.propensity(X)).max() > 0.03


# -- its place --------------------------------------------------------------------------------------------------------


def test_what_it_does_not_go_with_is_refused():
    X, s = problem()
    with pytest.raises(TaskError, match=r"^mode 'sar_em' needs a score and a loss for each row, and loss 'mse' works"):
        model("mse", cls=LossRegressor).fit(X, s.astype(float))
    with pytest.raises(TaskError, match=r"loss 'cross_entropy' works on logits.*use LossClassifier with loss='bce'"):
        model("cross_entropy").fit(X, s + (X[:, 0] > 2))
    with pytest.raises(TaskError, match="loss 'pu_sar' works on scores, with a value per batch"):
        model("pu_sar").fit(X, s, propensity=np.full(120, 0.5))
    with pytest.raises(TaskError, match="labels that some of its rows have, and y has several"):
        model().fit(X, np.c_[s, 1 - s])
    with pytest.raises(TaskError, match="soft labels of its own, which a mixup would replace; leave mixup out"):
        model(mixup="mixup").fit(X, s)
    with pytest.raises(TaskError, match="needs scores that are log odds, which loss 'bce' does not lead to"):
        model(Loss("bce", pos_weight=2.0)).fit(X, s)
    with pytest.raises(TaskError, match="blends the losses of both classes, which does not go with loss 'bce'"):
        model(Loss("bce") + Loss("bce")).fit(X, s)


@pytest.mark.parametrize("attributes", [[-1], [0.5], [True], "1", 1])
def test_attributes_are_numbers_of_columns(attributes):
    with pytest.raises(ParameterError, match="attributes must be a list of numbers from 0, or None"):
        Mode("sar_em", attributes=attributes).choose()


def test_attributes_are_columns_that_there_are():
    X, s = problem()
    with pytest.raises(
        DataError, match=r"attributes must be columns of X of shape \(n, d\), got \[3\] for rows of shape"
    ):
        model(attributes=[3]).fit(X, s)


# -- what it is for ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_finds_positives_better_than_one_chance_for_all_and_that_better_than_none(seed):
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X)
    e = sigmoid(2 * X[:, 1])
    s = y * (np.random.default_rng(seed).random(len(y)) < e)
    how = {"hidden_layer_sizes": (), "lr": 0.03, "max_epochs": 30, "batch_size": 200, "random_state": 0}
    same = np.full(len(y), s.sum() / y.sum())
    naive = LossClassifier("bce", **how).fit(X, s)
    scar = LossClassifier("pu_sar", **how).fit(X, s, propensity=same)
    ours = LossClassifier("bce", mode=Mode("sar_em", attributes=[1], warmup=5), **how).fit(X, s)
    areas = [roc_auc_score(y, one.predict_proba(X)[:, 1]) for one in (naive, scar, ours)]
    hits = [f1_score(y, one.predict(X)) for one in (naive, scar, ours)]
    assert areas[0] + 0.02 < areas[1] < areas[2] - 0.01
    assert hits[0] + 0.2 < hits[1] < hits[2]
    off, off_same = (np.abs(chances - e)[y == 1].mean() for chances in (ours.net_.mode.propensity(X), same))
    assert off < off_same / 3


def test_a_network_that_learns_rows_by_heart_takes_unlabeled_rows_for_negatives():
    X, s = problem(60)
    wide = np.c_[X, np.random.default_rng(0).normal(size=(60, 100))]
    linear = model(max_epochs=20).fit(X, s).net_.mode
    by_heart = model(max_epochs=20, hidden_layer_sizes=(50,)).fit(wide, s)
    assert by_heart.score(wide, s) == 1
    assert by_heart.net_.mode.propensity(wide).min() > 0.8 > linear.propensity(X).mean()
