import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from torch import nn

from sklearnloss import LossClassifier, Mode, load
from sklearnloss.exceptions import DataError, ParameterError, TaskError
from sklearnloss.modes.set_label_pretraining import POOLINGS, MeanPooling, SetLabelPretraining


@pytest.fixture(scope="module")
def sets():
    """Eighty sets of one to four rows; the label is that of the mean of the first column."""
    rng = np.random.default_rng(0)
    names = np.repeat(np.arange(80), rng.integers(1, 5, size=80))
    instances = (
        rng.normal(size=(len(names), 5)) + np.repeat(rng.choice([-1.5, 1.5], size=80), np.bincount(names))[:, None]
    )
    labels = np.array(["low", "high"])[[int(instances[names == s, 0].mean() > 0) for s in range(80)]]
    return {"instances": instances, "sets": names, "labels": labels}


@pytest.fixture(scope="module")
def few():
    rng = np.random.default_rng(1)
    y = np.arange(12) % 2
    return rng.normal(size=(12, 5)) + 3.0 * y[:, None] - 1.5, y


def quick(stage, **params):
    small = {"hidden_layer_sizes": (6,), "lr": 0.05, "max_epochs": 5, "random_state": 0}
    return LossClassifier(mode=stage, **(small | params))


def weights(model, part="backbone"):
    return {name: p.detach().clone() for name, p in getattr(model.net_.module_, part).named_parameters()}


# -- pooling ----------------------------------------------------------------------------------------------------------


def pooled(name, features, bag, n_bags):
    torch.manual_seed(0)
    return POOLINGS[name](features.shape[1]).double()(features, bag, n_bags)


@pytest.fixture
def segments():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(9, 3, generator=generator, dtype=torch.float64), torch.tensor([0, 1, 1, 0, 2, 1, 0, 1, 0])


@pytest.mark.parametrize("name", POOLINGS)
def test_a_pooling_does_not_depend_on_the_order_of_rows(name, segments):
    features, bag = segments
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(pooled(name, features[order], bag[order], 3), pooled(name, features, bag, 3))


@pytest.mark.parametrize("name", POOLINGS)
def test_a_set_is_pooled_as_if_it_were_alone_whatever_the_sizes_of_the_others(name, segments):
    features, bag = segments
    together = pooled(name, features, bag, 3)
    alone = [
        pooled(name, features[bag == s], torch.zeros(int((bag == s).sum()), dtype=torch.int64), 1) for s in range(3)
    ]
    torch.testing.assert_close(together, torch.cat(alone))


@pytest.mark.parametrize("name", ["mean", "attention"])
def test_the_gradient_reaches_every_row(name, segments):
    features, bag = segments
    features = (features + 1).requires_grad_()
    pooled(name, features, bag, 3).square().sum().backward()
    assert (features.grad.abs().sum(1) > 0).all()


def test_with_mean_pooling_each_row_gets_its_part_of_the_gradient_of_the_set(segments):
    features, bag = segments
    features = features.requires_grad_()
    out = MeanPooling(3)(features, bag, 3)
    upstream = torch.arange(1.0, 10.0, dtype=torch.float64).reshape(3, 3)
    out.backward(upstream)
    size = torch.tensor([4.0, 4.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(features.grad, (upstream / size[:, None])[bag])


def test_attention_is_a_mean_with_weights_by_the_softmax_of_the_set(segments):
    features, bag = segments
    torch.manual_seed(0)
    pool = POOLINGS["attention"](3).double()
    score = pool.score(torch.tanh(pool.content(features)) * torch.sigmoid(pool.gate(features)))[:, 0]
    for s in range(3):
        expected = torch.softmax(score[bag == s], 0) @ features[bag == s]
        torch.testing.assert_close(pool(features, bag, 3)[s], expected)


# -- pretraining ------------------------------------------------------------------------------------------------------


def test_sets_of_one_row_are_ordinary_supervised_pretraining():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 4)), np.arange(20) % 2
    stage = Mode("facile", instances=X, sets=np.arange(20), labels=y, epochs=3, lr=0.01, sets_per_batch=20)
    model = quick(stage, standardize=False, max_epochs=1).fit(X, y)
    mode = model.net_.mode

    torch.manual_seed(0)
    first = nn.Sequential(nn.Linear(4, 6), nn.ReLU()).double()
    mode._pretrain(_net(first), mode._read(_batches(X)))  # moves `first`
    moved = [p.detach().clone() for p in first.parameters()]

    torch.manual_seed(0)
    by_hand = nn.Sequential(nn.Linear(4, 6), nn.ReLU()).double()
    head = nn.Linear(6, 2).double()
    optimizer = torch.optim.Adam([*by_hand.parameters(), *head.parameters()], lr=0.01)
    for _ in range(3):
        loss = nn.functional.cross_entropy(head(by_hand(torch.as_tensor(X))), torch.as_tensor(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for one, other in zip(moved, by_hand.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def _net(backbone):
    class Net:
        device, dtype = "cpu", torch.float64
        module_ = type("M", (), {"backbone": backbone, "module_from": {}})

    return Net


def _batches(X):
    return type("B", (), {"X": torch.as_tensor(X)})


def test_labels_by_row_and_by_set_are_the_same(sets, few):
    by_row = sets | {"labels": sets["labels"][sets["sets"]]}
    one, other = (quick(Mode("facile", **s, epochs=3)).fit(*few) for s in (sets, by_row))
    np.testing.assert_array_equal(one.predict_proba(few[0]), other.predict_proba(few[0]))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_sets_are_learned(sets, few, pooling):
    model = quick(Mode("facile", **sets, epochs=15, lr=0.02, pooling=pooling)).fit(*few)
    curve = model.net_.mode.pretraining_loss_
    assert len(curve) == 15
    assert curve[-1] < 0.9 * curve[0]


def test_a_loss_of_embeddings_brings_sets_of_one_label_together(sets, few):
    model = quick(Mode("facile", **sets, epochs=15, lr=0.02, loss="supcon", sets_per_batch=80)).fit(*few)
    curve = model.net_.mode.pretraining_loss_
    shares = np.bincount(np.unique(sets["labels"], return_inverse=True)[1])
    floor = shares @ np.log(shares - 1) / shares.sum()  # each set picks all others of its label, and no other
    assert floor < curve[-1] < curve[0]


def test_a_perceptron_is_standardized_by_the_rows_of_the_sets(sets, few):
    scaler = quick(Mode("facile", **sets, epochs=1)).fit(*few).net_.module_.backbone[0]
    np.testing.assert_allclose(scaler.mean, sets["instances"].mean(0))
    np.testing.assert_allclose(1 / scaler.factor, sets["instances"].std(0))


def test_a_frozen_backbone_stays_as_the_sets_left_it_and_is_free_afterwards(sets, few):
    short, long = (quick(Mode("facile", **sets, epochs=3), max_epochs=n, weight_decay=0.1).fit(*few) for n in (1, 9))
    for name, value in weights(short).items():
        assert torch.equal(value, weights(long)[name])
    assert not torch.equal(weights(short, "head")["weight"], weights(long, "head")["weight"])
    assert all(p.requires_grad for p in long.net_.module_.parameters())
    free = quick(Mode("facile", **sets, epochs=3, freeze=False)).fit(*few)
    assert not torch.equal(weights(free)["1.weight"], weights(long)["1.weight"])


def test_a_frozen_backbone_has_neither_dropout_nor_moving_statistics(sets, few):
    def backbone(n_features):
        return nn.Sequential(nn.Linear(n_features, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.5))

    short, long = (quick(Mode("facile", **sets, epochs=2), module=backbone, max_epochs=n).fit(*few) for n in (1, 6))
    one, other = short.net_.module_.backbone[1], long.net_.module_.backbone[1]
    assert torch.equal(one.running_mean, other.running_mean)
    assert int(one.num_batches_tracked) > 0  # the sets moved them


def test_what_the_user_froze_stays_frozen(sets, few):
    module = nn.Sequential(nn.Linear(5, 4).double(), nn.ReLU(), nn.Linear(4, 4).double())
    module[0].requires_grad_(False)
    model = quick(Mode("facile", **sets, epochs=2), module=module).fit(*few)
    assert [p.requires_grad for p in model.net_.module_.backbone.parameters()] == [False, False, True, True]
    assert torch.equal(model.net_.module_.backbone[0].weight, module[0].weight)


def test_only_the_first_fit_pretrains(sets, few):
    model = quick(Mode("facile", **sets, epochs=2)).partial_fit(*few, classes=[0, 1])
    before = weights(model)
    model.partial_fit(*few)
    assert all(torch.equal(value, before[name]) for name, value in weights(model).items())


def test_the_same_seed_gives_the_same_weights(sets, few):
    one, other = (quick(Mode("facile", **sets, epochs=2, pooling="attention")).fit(*few) for _ in range(2))
    np.testing.assert_array_equal(one.predict_proba(few[0]), other.predict_proba(few[0]))


def test_arrays_as_hyperparameters_are_cloned_set_printed_and_saved(sets, few, tmp_path):
    model = quick(Mode("set_label_pretraining", **sets, epochs=2)).fit(*few)
    twin = clone(model)
    assert twin.mode.params["instances"] is not model.mode.params["instances"]
    np.testing.assert_array_equal(twin.get_params()["mode__sets"], sets["sets"])
    assert repr(twin).startswith("LossClassifier(")
    twin.set_params(mode__epochs=1, mode__labels=sets["labels"][::-1]).fit(*few)
    assert len(twin.net_.mode.pretraining_loss_) == 1
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(few[0]), model.predict_proba(few[0]))
    assert again.net_.mode.pretraining_loss_ == model.net_.mode.pretraining_loss_
    np.testing.assert_array_equal(again.mode.params["labels"], sets["labels"])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"sets": None}, ParameterError, "needs sets"),
        ({"instances": np.ones((3, 2))}, DataError, r"rows of shape \(5,\)"),
        ({"sets": np.arange(3)}, DataError, "one name for each"),
        ({"labels": np.arange(3)}, DataError, "one for each of the 80 sets"),
        ({"labels": np.zeros(80)}, DataError, "two values"),
        ({"loss": "bce"}, TaskError, "logits or embeddings"),
    ],
)
def test_what_cannot_be_learned_is_refused(sets, few, change, error, message):
    with pytest.raises(error, match=message):
        quick(Mode("facile", **(sets | change))).fit(*few)


def test_labels_that_differ_within_a_set_are_refused(sets, few):
    labels = sets["labels"][sets["sets"]]
    place = int(np.flatnonzero(np.bincount(sets["sets"])[sets["sets"]] > 1)[0])
    labels[place] = "low" if labels[place] == "high" else "high"
    with pytest.raises(DataError, match="same for all rows"):
        quick(Mode("facile", **(sets | {"labels": labels}))).fit(*few)


def test_networks_without_a_backbone_to_train_are_refused(sets, few):
    with pytest.raises(TaskError, match="no weights"):
        quick(Mode("facile", **sets), hidden_layer_sizes=()).fit(*few)
    with pytest.raises(TaskError, match="complete"):
        quick(Mode("facile", **sets), module=lambda n_features, n_outputs: nn.Linear(n_features, n_outputs)).fit(*few)


def test_an_interrupted_fit_leaves_the_backbone_free():
    mode = SetLabelPretraining(freeze=True)
    head, backbone = nn.Linear(2, 2), nn.Linear(2, 2)
    module = type("M", (), {"backbone": backbone, "head": head, "complete": False})
    net = type("N", (), {"module_": module, "epoch_": 1})

    def fit():
        assert not any(p.requires_grad for p in backbone.parameters())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mode.around_fit(fit, net, None)
    assert all(p.requires_grad for p in backbone.parameters())


def test_digits_from_five_rows_a_class_are_told_better_after_coarse_labels_of_sets():
    X, digit = load_digits(return_X_y=True)
    coarse = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])[digit]
    gains = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(X))
        train, test = order[:1200], order[1200:]
        rows = rng.choice(train, size=(300, 6))
        labels = np.array([np.bincount(coarse[r], minlength=3).argmax() for r in rows])
        few = np.concatenate([rng.choice(train[digit[train] == c], 5, replace=False) for c in range(10)])
        stage = Mode(
            "facile", instances=X[rows.ravel()], sets=np.repeat(np.arange(300), 6), labels=labels, epochs=15, lr=5e-3
        )
        scores = [
            quick(mode, hidden_layer_sizes=(64,), lr=0.02, max_epochs=30, random_state=seed)
            .fit(X[few], digit[few])
            .score(X[test], digit[test])
            for mode in (stage, None)
        ]
        gains.append(scores[0] - scores[1])
    assert np.mean(gains) > 0
