import math

import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import LossClassifier, LossRegressor, Mixup
from sklearnloss.exceptions import TaskError
from sklearnloss.mixups.rebalanced_mix import rebalanced_mix
from sklearnloss.reductions.mean import mean
from sklearnloss.spec import choose
from sklearnloss.training.criterion import Term

Y = torch.tensor([0] * 12 + [1] * 6 + [2] * 2)
X = torch.arange(20.0, dtype=torch.float64)[:, None].expand(20, 25).clone()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def partners(mixed):
    """Return the partner of each row, read off rows whose entries are all their number; itself where there is none."""
    other = [[v for v in row.unique().tolist() if v != i] for i, row in enumerate(mixed)]
    return [int(o[0]) if o else i for i, o in enumerate(other)]


@pytest.mark.parametrize("ratio", [1.0, 3.0, 5.0])
@pytest.mark.parametrize("seed", range(5))
def test_the_rarer_label_stays_alone_and_near_ones_share(ratio, seed):
    counts = Y.bincount().tolist()
    mixed, y_a, y_b, lam = rebalanced_mix(X, Y, rng=generator(seed), fraction=1.0, ratio=ratio)
    assert torch.equal(y_a, Y)
    for i, j in enumerate(partners(mixed)):
        if i == j:
            continue
        own, other = counts[Y[i]], counts[Y[j]]
        expected = 0.0 if own > ratio * other else 1.0 if other > ratio * own else 0.64
        assert lam[i].item() == pytest.approx(expected)
        assert y_b[i] == Y[j]
        assert (mixed[i] == i).sum() == 16  # of 25 columns 0.64


def test_a_common_row_with_a_piece_of_a_rare_one_has_only_the_rare_label():
    y = torch.tensor([0] * 19 + [1])
    _, y_a, y_b, lam = rebalanced_mix(X, y, rng=generator(1), fraction=1.0)
    label = torch.where(lam > 0.5, y_a, y_b)
    assert lam[y_a != y_b].tolist().count(0.0) == 1
    assert (label[y_a != y_b] == 1).all()


@pytest.mark.parametrize(("fraction", "rows"), [(0.0625, 2), (0.0, 0), (0.1, 2), (0.5, 10), (1.0, 20)])
def test_the_share_of_rows_is_rounded_up(fraction, rows):
    most = 0
    for seed in range(10):
        mixed, _, _, lam = rebalanced_mix(X, Y, rng=generator(seed), fraction=fraction)
        changed = (mixed != X).any(1)
        assert changed.sum() <= rows  # a row may be its own partner
        assert (lam[~changed & (lam != 1)] > 0).all()
        most = max(most, int(changed.sum()))
    assert most >= rows - 1


def test_the_loss_weighs_each_row_by_its_own_share():
    mixed, y_a, y_b, lam = rebalanced_mix(X, Y, rng=generator(), fraction=0.5)
    logits = torch.randn(20, 3, generator=generator(3), dtype=torch.float64)
    term = Term("cross_entropy", choose("loss", "cross_entropy"), fit_facts={}, supplied={"y"}, reduction=mean)
    blended = term(logits, {"X": mixed, "y": y_a, "y_b": y_b, "lam": lam})
    soft = lam[:, None] * F.one_hot(y_a, 3) + (1 - lam[:, None]) * F.one_hot(y_b, 3)
    assert_close(blended, F.cross_entropy(logits, soft))
    assert len(lam.unique()) > 1


def test_of_images_a_box_within_the_border_is_taken():
    images = torch.arange(4.0)[:, None, None, None].expand(4, 2, 10, 10).clone()
    mixed, y_a, y_b, lam = rebalanced_mix(images, torch.arange(4), rng=generator(), fraction=1.0)
    for i, (own, other) in enumerate(zip(y_a, y_b, strict=True)):
        if own != other:
            assert (mixed[i] == other).double().mean().item() == pytest.approx(0.36)
            assert lam[i].item() == pytest.approx(0.64)


@pytest.mark.parametrize(("share", "same"), [(1.0, True), (0.0, False)])
def test_a_share_of_one_leaves_rows_and_of_none_takes_all(share, same):
    mixed, _, y_b, lam = rebalanced_mix(X, torch.arange(20), rng=generator(), fraction=1.0, share=share)
    assert torch.equal(mixed, X) == same
    assert torch.equal(mixed[:, 0].long(), torch.arange(20) if same else y_b)
    assert (lam == share).all()


def test_leaves_its_inputs_and_keeps_dtype():
    values = X.float()
    before = values.clone()
    mixed, _, _, lam = rebalanced_mix(values, Y, rng=generator(), fraction=1.0)
    assert torch.equal(values, before)
    assert mixed.dtype == lam.dtype == torch.float32
    assert math.isfinite(mixed.sum())


def test_numbers_and_several_labels_are_refused():
    with pytest.raises(TaskError, match="one class a row"):
        rebalanced_mix(X, torch.zeros(20, 2, dtype=torch.int64), rng=generator())
    with pytest.raises(TaskError, match="one class a row"):
        LossRegressor(mixup="rebalanced_mix", max_epochs=1).fit(*load_diabetes(return_X_y=True))


def test_trains_by_name():
    X, y = load_digits(return_X_y=True)
    model = LossClassifier(mixup=Mixup("rebalanced_mix", fraction=0.3), max_epochs=10, random_state=0)
    assert model.fit(X, y).score(X, y) > 0.9
