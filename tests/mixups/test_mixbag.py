import numpy as np
import pytest
import torch
from torch.testing import assert_close

from sklearnloss import AggregateRegressor, LLPClassifier, LossClassifier, Mixup
from sklearnloss.exceptions import TaskError
from sklearnloss.functional.bags import bag_mean
from sklearnloss.mixups.mixbag import mixbag

SHARES = ("half", "uniform", "gauss")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def some_bags(sizes, dtype=torch.float64):
    """Return bags in mixed order, their proportions, and the class of each row, one column each."""
    bag = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    bag = bag[torch.randperm(len(bag), generator=generator(5))]
    labels = torch.eye(3, dtype=dtype)[torch.randint(3, (len(bag),), generator=generator(6))]
    return bag, bag_mean(labels, bag, len(sizes)), labels


def merged(bag, y, seeds=200, **how):
    """Return the numbers of rows of first and second bags, and the second bags, (draws, b) each."""
    named = torch.arange(len(y), dtype=torch.float64)[:, None]  # bags told by what is known of them
    drawn = [mixbag(bag, named, rng=generator(seed), probability=1.0, **how)[3] for seed in range(seeds)]
    return tuple(torch.stack([getattr(p, n) for p in drawn]).squeeze(2 if n == "second" else ()) for n in
                 ("n_first", "n_second", "second"))  # fmt: skip


def drawn_rows(index, new, bag):
    """Return for each new bag which rows it has of which old bag, with loops."""
    rows = {}
    for i, b in zip(index.tolist(), new.tolist(), strict=True):
        rows.setdefault(b, {}).setdefault(bag[i].item(), []).append(i)
    return rows


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rows_parts_and_proportions_tell_the_same(share, seed):
    bag, y, _ = some_bags((1, 4, 7, 7, 12))
    index, new, expected, parts = mixbag(bag, y, rng=generator(seed), share=share, probability=0.7)
    found = drawn_rows(index, new, bag)
    assert sorted(found) == list(range(5))
    for b, rows in found.items():
        (other,) = rows.keys() - {b} or {b}
        assert all(len(set(r)) == len(r) for r in rows.values())
        g, e = len(rows[b]), len(rows[other]) if other != b else 0
        assert (parts.n_first[b], parts.n_second[b]) == (g, e)
        assert (parts.size_first[b], parts.size_second[b] if e else 0) == (
            (bag == b).sum(),
            (bag == other).sum() * (e > 0),
        )
        assert_close(expected[b], (g * y[b] + e * y[other]) / (g + e))
        assert g == (bag == b).sum() or e > 0
    assert 0 < (parts.n_second > 0).sum() <= 5


@pytest.mark.parametrize("share", SHARES)
def test_bags_of_one_size_make_one_of_that_size(share):
    for size in (2, 5, 10):
        bag, y, _ = some_bags((size,) * 4)
        first, second, _ = merged(bag, y, 50, share=share)
        assert (first + second == size).all()
        assert (first > 0).all()
        assert (second > 0).all()


def test_half_takes_half_of_each():
    bag, y, _ = some_bags((4, 10))
    first, second, _ = merged(bag, y, 5, share="half")
    assert (first == torch.tensor([2, 5])).all()
    assert (second == torch.tensor([5, 2])).all()


def test_uniform_takes_each_number_of_rows_but_none_and_all_as_often():
    bag, y, _ = some_bags((5,) * 4)
    first, _, _ = merged(bag, y, 400, share="uniform")
    counts = torch.bincount(first.flatten().long(), minlength=6)
    assert counts[0] == counts[5] == 0
    assert_close(counts[1:5] / counts.sum(), torch.full((4,), 0.25), atol=0.03, rtol=0)


def test_gauss_takes_a_share_near_half():
    bag, y, _ = some_bags((100,) * 4)
    first, _, _ = merged(bag, y, share="gauss")
    assert first.mean().item() == pytest.approx(50, abs=1.2)
    assert first.std().item() == pytest.approx(10, abs=1)


@pytest.mark.parametrize("share", SHARES)
def test_a_bag_of_one_row_gives_it_and_takes_it(share):
    bag, y, _ = some_bags((1, 1, 9))
    first, second, other = merged(bag, y, 100, share=share)
    assert (first[:, :2] == 1).all()
    assert (second > 0).all()
    assert (second[other < 2] == 1).all()


def test_each_other_bag_and_each_row_is_drawn_as_often():
    bag, y, _ = some_bags((6,) * 4)
    _, _, other = merged(bag, y, 400)
    for b in range(4):
        counts = torch.bincount(other[:, b].long(), minlength=4)
        assert counts[b] == 0
        assert counts.sum() == 400
        assert counts[torch.arange(4) != b].min() > 95
    rows = torch.zeros(24)
    for seed in range(300):
        rows += torch.bincount(mixbag(bag, y, rng=generator(seed))[0], minlength=24)
    assert rows.min() > 0.85 * rows.mean()
    assert rows.max() < 1.15 * rows.mean()


@pytest.mark.parametrize("share", SHARES)
def test_true_proportions_are_in_the_mean_those_expected(share):
    bag, y, labels = some_bags((2, 5, 8, 8))
    off = torch.stack([
        bag_mean(labels[index], new, 4) - expected
        for index, new, expected, _ in (mixbag(bag, y, rng=generator(s), share=share) for s in range(400))
    ])  # fmt: skip
    assert (off.mean(0).abs() <= 4.5 * off.std(0) / 400**0.5 + 1e-12).all()
    assert off.abs().max() > 0.2  # of one draw they are not


def test_a_whole_bag_is_the_original_one():
    bag, y, _ = some_bags((1, 4, 7))
    index, new, expected, parts = mixbag(bag, y, rng=generator(), probability=0.0)
    assert sorted(index.tolist()) == list(range(12))
    assert torch.equal(new, bag[index])
    assert torch.equal(expected, y)
    assert torch.equal(parts.n_first, parts.size_first)
    assert (parts.n_second == 0).all()


def test_a_lonely_bag_is_not_merged():
    bag, y, _ = some_bags((4,))
    index, new, expected, parts = mixbag(bag, y, rng=generator(), probability=1.0)
    assert sorted(index.tolist()) == [0, 1, 2, 3]
    assert (new == 0).all()
    assert torch.equal(expected, y)
    assert parts.n_second.tolist() == [0]


def test_bags_are_merged_as_often_as_asked():
    bag, y, _ = some_bags((3,) * 10)
    for probability in (0.2, 0.5, 1.0):
        drawn = [mixbag(bag, y, rng=generator(s), probability=probability)[3].n_second > 0 for s in range(100)]
        assert torch.stack(drawn).double().mean().item() == pytest.approx(probability, abs=0.04)


def problem(seed=0, n=240, size=12):
    rng = np.random.default_rng(seed)
    X, bag = rng.normal(size=(n, 2)), np.arange(n) // size
    return X, (X[:, 0] > 0).astype(int), bag


@pytest.mark.parametrize("loss", ["proportion_ce", "ci_proportion"])
@pytest.mark.parametrize("how", ["mixbag", Mixup("mixbag", share="gauss", probability=0.6)])
def test_learns_rows_from_merged_bags(loss, how):
    X, y, bag = problem()
    model = LLPClassifier(loss, mixup=how, max_epochs=40, lr=0.03, batch_size=60, random_state=0).fit(X, y, bags=bag)
    assert model.score(X, y) > 0.85


def test_merged_bags_of_pure_ones_are_new_bags():
    rng = np.random.default_rng(0)
    X, bag = rng.normal(size=(200, 2)), np.arange(200) // 10
    X[:, 0] += 3 * (bag % 2)
    proportions = np.stack([1 - bag % 2, bag % 2], axis=1).astype(float)
    plain, mixed = (
        LLPClassifier(mixup=m, max_epochs=5, batch_size=100, random_state=0).fit(X, proportions, bags=bag)
        for m in (None, Mixup("mixbag", probability=1.0))
    )
    assert mixed.loss_curve_[-1] != plain.loss_curve_[-1]
    assert mixed.loss_curve_[-1] > plain.loss_curve_[-1]  # not below the entropy of proportions that are not pure


def test_parameters_are_set_by_name_and_searched():
    model = LLPClassifier(mixup=Mixup("mixbag")).set_params(mixup__share="half", mixup__probability=0.25)
    assert model.mixup == Mixup("mixbag", share="half", probability=0.25)


def test_means_are_merged_too():
    X, _, bag = problem()
    means = np.bincount(bag, weights=X[:, 0])[bag] / 12
    model = AggregateRegressor(mixup="mixbag", max_epochs=40, lr=0.03, batch_size=60, random_state=0)
    assert np.corrcoef(model.fit(X, means, bags=bag).predict(X), X[:, 0])[0, 1] > 0.8


def test_rows_of_one_label_are_no_bags():
    X, y, _ = problem()
    with pytest.raises(TaskError, match="a mixup of 'bag' belongs to an estimator that trains on bag"):
        LossClassifier(mixup="mixbag").fit(X, y)
