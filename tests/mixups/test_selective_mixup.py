import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import balanced_accuracy_score
from torch.testing import assert_close

from sklearnloss import LossClassifier, Mixup
from sklearnloss.exceptions import MissingFactError
from sklearnloss.mixups import selective_mixup as module
from sklearnloss.mixups.selective_mixup import selective_mixup

Y = torch.tensor([0] * 6 + [1] * 3 + [2])
DOMAIN = torch.tensor([0, 1] * 5)
RULES = {
    "any": lambda i, j: True,
    "diff_class": lambda i, j: Y[i] != Y[j],
    "same_domain": lambda i, j: DOMAIN[i] == DOMAIN[j],
    "same_class_diff_domain": lambda i, j: Y[i] == Y[j] and DOMAIN[i] != DOMAIN[j],
    "diff_class_diff_domain": lambda i, j: Y[i] != Y[j] and DOMAIN[i] != DOMAIN[j],
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def partners(seed, y=Y, **params):
    """Return the partner of each row, read off rows that are unit vectors."""
    n = len(y)
    X = torch.eye(n, dtype=torch.float64)
    mixed, y_a, y_b, lam = selective_mixup(X, y, rng=generator(seed), **params)
    rest = mixed - lam * X
    partner = torch.where(rest.sum(1) > 0, rest.argmax(1), torch.arange(n))
    assert_close(mixed, lam * X + (1 - lam) * X[partner])
    assert torch.equal(y_a, y)
    assert torch.equal(y_b, y[partner])
    return partner.tolist()


def partner_classes(y, draws=600, **params):
    """Return how often each class is that of the partner."""
    counts = torch.zeros(int(y.max()) + 1)
    X = torch.zeros(len(y), 1)
    for seed in range(draws):
        counts += torch.bincount(selective_mixup(X, y, rng=generator(seed), **params)[2], minlength=len(counts))
    return (counts / counts.sum()).tolist()


@pytest.mark.parametrize("draw", ["class", "row"])
@pytest.mark.parametrize("pair", RULES)
def test_partners_are_all_rows_that_fit_and_rows_without_one_stay(pair, draw):
    seen = [set() for _ in Y]
    for seed in range(120):
        for i, j in enumerate(partners(seed, pair=pair, draw=draw, domain=DOMAIN)):
            seen[i].add(j)
    for i, found in enumerate(seen):
        assert found == ({j for j in range(10) if j != i and RULES[pair](i, j)} or {i})


def test_of_two_classes_each_comes_half_of_the_time():
    y = torch.tensor([0] * 9 + [1])
    for seed in range(3):
        _, y_a, y_b, _ = selective_mixup(torch.zeros(10, 1), y, rng=generator(seed))
        assert torch.bincount(torch.cat([y_a, y_b])).tolist() == [10, 10]


def test_with_the_class_first_partners_are_of_each_other_class_as_often():
    shares = Y.bincount() / 10
    # every row draws evenly among the other classes: a class gets (1 - pi) / (k - 1)
    assert partner_classes(Y) == pytest.approx(((1 - shares) / 2).tolist(), abs=0.02)


def test_by_rows_partners_are_of_a_class_by_its_share_of_the_others():
    pi = (Y.bincount() / 10).tolist()
    expected = [sum(pi[a] * pi[c] / (1 - pi[a]) for a in range(3) if a != c) for c in range(3)]
    assert partner_classes(Y, draw="row") == pytest.approx(expected, abs=0.02)


def test_a_share_of_one_leaves_the_rows(monkeypatch):
    monkeypatch.setattr(module, "symmetric_beta", lambda *args, **kwargs: torch.tensor(1.0, dtype=torch.float64))
    X = torch.randn(10, 3, generator=generator(5))
    mixed, y_a, _, lam = selective_mixup(X, Y, rng=generator())
    assert_close(mixed, X)
    assert torch.equal(y_a, Y)
    assert lam == 1


def test_resampled_rows_are_unmixed_and_half_of_them_partners():
    X = torch.eye(10)
    kept = 0
    for seed in range(200):
        mixed, y_a, y_b, lam = selective_mixup(X, Y, rng=generator(seed), mode="resample")
        assert lam == 1
        chosen = mixed.argmax(1)
        assert torch.equal(mixed, X[chosen])
        assert torch.equal(y_a, Y[chosen])
        assert torch.equal(y_b, y_a)
        kept += (chosen == torch.arange(10)).sum().item() / 2000
    assert kept == pytest.approx(0.5, abs=0.05)


def test_resampled_and_mixed_rows_are_of_each_class_as_often():
    counts = torch.zeros(3)
    for seed in range(300):
        mixed, y_a, y_b, _ = selective_mixup(torch.eye(10), Y, rng=generator(seed), mode="resample_mix")
        counts += torch.bincount(torch.cat([y_a, y_b]), minlength=3)
        assert_close(mixed.sum(1), torch.ones(10))
    assert (counts / counts.sum()).tolist() == pytest.approx([1 / 3] * 3, abs=0.02)


@pytest.mark.parametrize("mode", ["mix", "resample", "resample_mix"])
@pytest.mark.parametrize("y", [torch.zeros(4, dtype=torch.int64), torch.tensor([3])])
def test_one_class_or_one_row_is_left_as_it_is(mode, y):
    X = torch.ones(len(y), 2)
    mixed, y_a, y_b, _ = selective_mixup(X, y, rng=generator(), mode=mode)
    assert_close(mixed, X)
    assert torch.equal(y_a, y)
    assert torch.equal(y_b, y)


def test_sets_of_labels_are_classes():
    y = torch.tensor([[0, 1], [0, 1], [1, 1]])
    _, _, y_b, _ = selective_mixup(torch.eye(3), y, rng=generator())
    assert y_b.tolist() == [[1, 1], [1, 1], [0, 1]]


def test_domains_are_asked_for():
    X, y = load_breast_cancer(return_X_y=True)
    model = LossClassifier(mixup=Mixup("selective_mixup", pair="same_domain"), max_epochs=1)
    with pytest.raises(MissingFactError, match=r"needs 'domain'.*fit\(X, y, domain=\.\.\.\)"):
        model.fit(X, y)
    model.fit(X, y, domain=np.arange(len(y)) % 2)


@pytest.mark.parametrize("mode", ["mix", "resample"])
def test_rare_positives_are_found_better_than_with_plain_mixup(mode):
    rng = np.random.default_rng(0)
    y = (rng.random(400) < 0.1).astype(int)
    X = rng.normal(size=(400, 2)) + y[:, None]
    scores = [
        balanced_accuracy_score(y, LossClassifier(mixup=m, max_epochs=20, lr=0.02, random_state=0).fit(X, y).predict(X))
        for m in ("mixup", Mixup("selective_mixup", mode=mode))
    ]
    assert scores[1] > scores[0] + 0.05
