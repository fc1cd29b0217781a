import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from sklearnloss import Loss, Mode, View, loss, mixup, mode, sampler, view
from sklearnloss.exceptions import MissingFactError, TaskError
from sklearnloss.reductions.mean import mean
from sklearnloss.samplers.shuffle import shuffle
from sklearnloss.spec import choose
from sklearnloss.training.backbone import Network
from sklearnloss.training.batches import Batches
from sklearnloss.training.criterion import Criterion, Term
from sklearnloss.training.net import LossNet


@mode("watching")
class Watching:
    """Note every call, and change nothing."""

    def __init__(self, *, note: str = "w"):
        self.note, self.calls = note, []

    def batch(self, X, batch):
        self.calls.append(f"batch {len(X)}")

    def step(self, closure, optimizer):
        self.calls.append("step")
        optimizer.step(closure)

    def epoch(self, net):
        self.calls.append(f"epoch {net.epoch_}")

    def around_fit(self, fit, net, batches):
        self.calls.append(f"begin {len(batches.X)}")
        fit()
        self.calls.append("end")


@mode("apart")
class Apart:
    """Take each term's gradient by itself and add them."""

    def step(self, closure, optimizer):
        terms = closure.terms()
        assert set(terms) == {"cross_entropy", "ldr"}
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        gradients = [torch.autograd.grad(value, parameters, retain_graph=True) for value in terms.values()]
        for p, *parts in zip(parameters, *gradients, strict=True):
            p.grad = torch.stack(parts).sum(0)
        optimizer.step()


@mode("ascending")
class Ascending:
    """Look at the loss at a point nearby before each step, as sharpness-aware methods do."""

    def __init__(self, *, radius: float = 0.05):
        self.radius = radius

    def step(self, closure, optimizer):
        closure()
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        with torch.no_grad():
            moves = [self.radius * p.grad / (p.grad.norm() + 1e-12) for p in parameters]
            for p, move in zip(parameters, moves, strict=True):
                p.add_(move)
        closure()
        with torch.no_grad():
            for p, move in zip(parameters, moves, strict=True):
                p.sub_(move)
        optimizer.step()


@mode("blurring")
class Blurring:
    """Hide a column from the batch."""

    def batch(self, X, batch):
        hidden = X.clone()
        hidden[:, 0] = 0
        return {**batch, "X": hidden}


@loss("counting_calls", task="multiclass")
class CountingCalls(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, logits, y):
        if self.training:
            self.calls += 1
        return cross_entropy(logits, y, reduction="none")


def test_a_mode_is_called_at_each_place_and_changes_nothing_by_itself(quick, blobs):
    X, y = blobs
    model = quick(mode=Mode(Watching, note="n"), max_epochs=2, batch_size=45).fit(X, y)
    one = ["batch 45", "step", "batch 45", "step"]
    assert model.net_.mode.calls == ["begin 90", *one, "epoch 1", *one, "epoch 2", "end"]
    assert model.net_.mode.note == "n"
    plain = quick(max_epochs=2, batch_size=45).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_a_mode_may_take_the_terms_apart(quick, overlapping, factor):
    X, y = overlapping
    total = Loss("cross_entropy") + factor * Loss("ldr")
    apart, plain = quick(total, mode=Apart, max_epochs=5).fit(X, y), quick(total, max_epochs=5).fit(X, y)
    np.testing.assert_allclose(apart.predict_proba(X), plain.predict_proba(X), rtol=1e-6)
    np.testing.assert_allclose(apart.loss_curve_, plain.loss_curve_, rtol=1e-9)
    assert apart.history_[0]["train_loss_ldr"] == pytest.approx(plain.history_[0]["train_loss_ldr"])


def test_a_mode_that_goes_forward_twice_moves_the_state_of_a_loss_once(quick, blobs):
    X, y = blobs
    model = quick(CountingCalls, mode=Mode(Ascending, radius=0.1), batch_size=30, max_epochs=2).fit(X, y)
    assert model.net_.criterion_.terms[0].modules_[0].calls == 6
    assert model.score(X, y) > 0.9
    plain = quick(CountingCalls, batch_size=30, max_epochs=2).fit(X, y)
    assert not np.array_equal(model.predict_proba(X), plain.predict_proba(X))


def test_a_mode_may_change_the_batch(quick, blobs):
    X, y = blobs
    blurred = quick(mode=Blurring, standardize=False).fit(X, y)
    without = X.copy()
    without[:, 0] = 0
    direct = quick(standardize=False).fit(without, y)
    np.testing.assert_allclose(blurred.predict_proba(without), direct.predict_proba(without), rtol=1e-9)


def test_a_mode_belongs_to_one_fit(quick, blobs):
    model = quick(mode=Watching, max_epochs=1)
    first = model.fit(*blobs).net_.mode
    assert model.fit(*blobs).net_.mode is not first


def test_a_mode_takes_its_parameters_by_name(quick):
    assert quick(mode=Ascending).set_params(mode__radius=0.5).mode == Mode(Ascending, radius=0.5)


# -- mixup ------------------------------------------------------------------------------------------------------------


@mixup("halfway")
def halfway(X, y, *, rng):
    """Mix each row with the one before it, half and half."""
    return (X + X.roll(1, 0)) / 2, y, y.roll(1, 0), torch.full((len(X),), 0.5, dtype=X.dtype)


@mixup("unmixed")
def unmixed(X, y, *, rng):
    return X, y, y.flip(0), torch.ones((), dtype=X.dtype)


def test_mixed_rows_are_asked_for_both_labels_in_proportion(quick, blobs):
    X, y = blobs
    seen = []

    @loss("soft", task="multiclass")
    def soft(logits, y):
        value = cross_entropy(logits, y, reduction="none")
        seen.append(value.mean())
        return value

    model = quick(soft, mixup=halfway, batch_size=1000, max_epochs=1).fit(X, y)
    assert model.loss_curve_[0] == pytest.approx((seen[0].item() + seen[1].item()) / 2)


def test_a_share_of_one_mixes_nothing(quick, blobs):
    X, y = blobs
    mixed = quick(mixup=unmixed, batch_size=16).fit(X, y)
    np.testing.assert_allclose(mixed.predict_proba(X), quick(batch_size=16).fit(X, y).predict_proba(X), rtol=1e-9)


def test_mixed_rows_move_the_state_of_a_loss_once(quick, blobs):
    model = quick(CountingCalls, mixup="mixup", batch_size=30, max_epochs=2).fit(*blobs)
    assert model.net_.criterion_.terms[0].modules_[0].calls == 6
    assert model.net_.criterion_.terms[0].modules_[0].training is False


def test_mixed_labels_are_learned_too(quick, labels):
    X, Y = labels
    assert quick("bce", mixup="mixup").fit(X, Y).predict_proba(X).shape == Y.shape


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            Loss("cross_entropy") + Loss("supcon"),
            "^loss 'supcon' has the unit 'anchor' and cannot be trained on mixed row",
        ),
        ("kd", "^loss 'kd' names 'teacher', a value per row, and cannot be trained on mixed rows; leave mixup out$"),
    ],
)
def test_what_cannot_be_mixed_is_refused(quick, blobs, spec, message):
    X, y = blobs
    with pytest.raises(TaskError, match=message):
        quick(spec, mixup="mixup").fit(X, y, teacher=np.eye(3)[y])


# -- views ------------------------------------------------------------------------------------------------------------


@view("shifted")
def shifted(X, *, rng, by: float = 1.0):
    return X + by


@loss("between_views", task="embedding", unit="row")
def between_views(view_a, view_b, y, *, index, teacher=None):
    assert len(view_a) == len(view_b) == len(y) == len(index)
    assert teacher is None or len(teacher) == len(view_a)
    return (view_a - view_b).square().sum(1)


def viewed(weights=None, teacher=None):
    """Return a net on two views of ten rows, and its batches."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(10, 3, generator=generator)
    rows = {} if weights is None else {"sample_weight": weights}
    rows |= {} if teacher is None else {"teacher": teacher}
    batches = Batches(
        X, None, rows=rows, sampler=shuffle, batch_size=5, seed=0,
        views=(choose("view", View(shifted, by=1.0)).build(), choose("view", View(shifted, by=3.0)).build()),
    )  # fmt: skip
    term = Term(
        "between_views", choose("loss", between_views), fit_facts={}, supplied={"y", "index", *rows}, reduction=mean
    )
    backbone = torch.nn.Linear(3, 2)
    torch.nn.init.ones_(backbone.weight)
    net = LossNet(
        Network(backbone, torch.nn.Identity()), Criterion([term]), optimizer=torch.optim.SGD, lr=1e-12, max_epochs=1
    )
    return net.initialize(), batches


def test_two_views_of_a_row_meet_in_one_pass_of_the_network():
    net, batches = viewed()
    passes = []
    net.module_.backbone.register_forward_hook(lambda module, args, output: passes.append(len(output)))
    net.partial_fit(batches)
    assert passes == [10, 10]  # five rows twice, in one call a batch
    # the views are X + 1 and X + 3; a weight of ones makes 6 of the difference, in each of two columns
    assert net.history[-1, "train_loss"] == pytest.approx(2 * 6.0**2, rel=1e-5)


def test_weights_and_row_facts_of_two_views_count_each_row_once():
    weights = torch.linspace(0.1, 1.9, 10)
    net, batches = viewed(weights=weights, teacher=torch.zeros(10, 2))
    net.partial_fit(batches)
    assert net.history[-1, "train_loss"] == pytest.approx(2 * 6.0**2 * weights.mean().item(), rel=1e-5)


def test_without_targets_the_row_number_is_the_label():
    _, batches = viewed()
    for batch in batches:
        assert torch.equal(batch["y"], batch["index"])
        assert torch.equal(batch["y"][:5], batch["y"][5:])


# -- facts of samplers and mixups -------------------------------------------------------------------------------------


def test_a_sampler_is_told_the_epoch_over_warm_starts_too(quick, blobs):
    seen = []

    @sampler("epoch_watcher")
    def epoch_watcher(y, *, batch_size, rng, epoch):
        seen.append(epoch)
        yield rng.permutation(len(y))

    model = quick(sampler=epoch_watcher, max_epochs=2, warm_start=True).fit(*blobs)
    model.fit(*blobs)
    assert seen == [0, 1, 2, 3]


def test_a_mixup_gets_the_row_facts_that_it_names(quick, blobs):
    X, y = blobs
    group = np.arange(len(X)) % 3
    seen = []

    @mixup("within_groups")
    def within_groups(X, y, *, rng, group, index):
        seen.append((group, index))
        return X, y, y, torch.ones(())

    quick(mixup=within_groups, max_epochs=1).fit(X, y, group=group)
    assert all(np.array_equal(g, group[i]) for g, i in seen)
    with pytest.raises(MissingFactError, match="mixup 'within_groups' needs 'group'"):
        quick(mixup=within_groups).fit(X, y)
