from itertools import product

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from sklearnloss import LLPClassifier, Loss
from sklearnloss.functional.bags import BagParts
from sklearnloss.losses.bag.easy_llp import easy_llp

PRIORS = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
ETA = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.3, 0.3, 0.4]])  # classes of three kinds of rows
KINDS = np.array([0.5, 0.3, 0.2])  # their shares
SCORES = torch.tensor([[1.0, -0.5, 0.2], [-1.0, 2.0, 0.0], [0.3, 0.1, -0.7]], dtype=torch.float64)  # what is predicted


def naive(logits, y, bag, priors):
    """Return the value of each bag, written with loops."""
    values = []
    for b in range(len(y)):
        rows = [i for i in range(len(logits)) if bag[i] == b]
        value = 0.0
        for i in rows:
            p = np.exp(logits[i].numpy()) / np.exp(logits[i].numpy()).sum()
            for c in range(len(priors)):
                w = len(rows) * (y[b, c].item() - priors[c].item()) + priors[c].item()
                value -= w * np.log(p[c]) / len(rows)
        values.append(value)
    return values


def risk():
    """Return the expected cross entropy of rows."""
    log_p = SCORES.log_softmax(1).numpy()
    return float(-(KINDS[:, None] * ETA * log_p).sum())


def outcomes(size, kinds=KINDS, eta=ETA):
    """Return every draw of kinds and classes of rows (t, size) each, and its chance."""
    rows = [(x, c) for x in range(eta.shape[0]) for c in range(eta.shape[1])]
    draws = list(product(rows, repeat=size))
    kind, label = (np.array([[row[j] for row in draw] for draw in draws]) for j in (0, 1))
    return kind, label, (kinds[kind] * eta[kind, label]).prod(1)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_is_the_formula_written_with_loops(bags, seed):
    logits, y, bag, _ = bags(seed)
    found = easy_llp(logits, y, bag=bag, n_bags=3, priors=PRIORS)
    np.testing.assert_allclose(found, naive(logits, y, bag, PRIORS), rtol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_its_expectation_over_bags_is_the_risk_of_rows(size):
    kind, label, chance = outcomes(size)
    y = torch.from_numpy(np.eye(3)[label].mean(1))
    bag = torch.arange(len(kind)).repeat_interleave(size)
    priors = torch.from_numpy(KINDS @ ETA)
    values = easy_llp(SCORES[kind.ravel()], y, bag=bag, n_bags=len(kind), priors=priors)
    assert chance.sum() == pytest.approx(1)
    assert float(values.numpy() @ chance) == pytest.approx(risk(), rel=1e-12)


def test_is_unbiased_from_a_part_of_a_bag_when_it_knows_the_size():
    kind, label, chance = outcomes(3)
    y = torch.from_numpy(np.eye(3)[label].mean(1))
    n = len(kind)
    how = {"bag": torch.arange(n).repeat_interleave(2), "n_bags": n, "priors": torch.from_numpy(KINDS @ ETA)}
    logits = SCORES[kind[:, :2].ravel()]  # two of the three rows
    sizes = {"bag_index": torch.arange(n), "bag_sizes": torch.full((n,), 3.0, dtype=torch.float64)}
    told = easy_llp(logits, y, **how, **sizes).numpy() @ chance
    untold = easy_llp(logits, y, **how).numpy() @ chance
    assert float(told) == pytest.approx(risk(), rel=1e-12)
    assert abs(float(untold) - risk()) > 0.01


def test_looks_the_size_of_a_bag_up_by_its_number(bags):
    logits, y, bag, _ = bags(0)
    sizes = torch.tensor([9.0, 7.0, 1.0, 4.0], dtype=torch.float64)  # the bags of 1, 4 and 7 rows are numbers 2, 3, 1
    found = easy_llp(logits, y, bag=bag, n_bags=3, priors=PRIORS, bag_index=torch.tensor([2, 3, 1]), bag_sizes=sizes)
    torch.testing.assert_close(found, easy_llp(logits, y, bag=bag, n_bags=3, priors=PRIORS))


def test_is_unbiased_on_merged_bags():
    # one row each of two bags of two: the proportions are those of all four rows
    eta, kinds = np.array([[0.8, 0.2], [0.3, 0.7]]), np.array([0.6, 0.4])
    kind, label, chance = outcomes(4, kinds, eta)
    n = len(kind)
    scores = torch.tensor([[0.0, -1.0], [0.0, 0.5]], dtype=torch.float64)
    wanted = float(-(kinds[:, None] * eta * scores.log_softmax(1).numpy()).sum())
    one, two = (torch.full((n,), value, dtype=torch.float64) for value in (1.0, 2.0))
    y = torch.from_numpy(np.eye(2)[label].mean(1))
    values = easy_llp(
        scores[kind[:, [0, 2]].ravel()],
        y,
        bag=torch.arange(n).repeat_interleave(2),
        n_bags=n,
        priors=torch.from_numpy(kinds @ eta),
        bag_parts=BagParts(y, y, one, one, two, two),
    )
    assert float(values.numpy() @ chance) == pytest.approx(wanted, rel=1e-12)


def test_bags_that_were_not_merged_keep_their_size(bags):
    logits, y, bag, _ = bags(0)
    size, none = torch.tensor([1.0, 4.0, 7.0], dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    found = easy_llp(logits, y, bag=bag, n_bags=3, priors=PRIORS, bag_parts=BagParts(y, y, size, none, size, none))
    torch.testing.assert_close(found, easy_llp(logits, y, bag=bag, n_bags=3, priors=PRIORS))


def test_two_classes_have_the_weights_of_the_paper():
    # k = 4, alpha = 0.75, p = 0.6: weights k (alpha - p) + p = 1.2 and k (p - alpha) + 1 - p = -0.2
    logits = torch.tensor([[0.0, 1.0], [0.0, -2.0], [0.0, 0.5], [0.0, 0.0]], dtype=torch.float64)
    y, priors = torch.tensor([[0.25, 0.75]], dtype=torch.float64), torch.tensor([0.4, 0.6], dtype=torch.float64)
    p = torch.sigmoid(logits[:, 1]).numpy()
    wanted = np.mean(1.2 * -np.log(p) - 0.2 * -np.log(1 - p))
    found = easy_llp(logits, y, bag=torch.zeros(4, dtype=torch.int64), n_bags=1, priors=priors)
    assert found.item() == pytest.approx(wanted)


def test_a_bag_of_one_row_has_cross_entropy(bags):
    logits, _, _, _ = bags(0)
    y = torch.softmax(logits.flip(0), 1)
    found = easy_llp(logits, y, bag=torch.arange(12), n_bags=12, priors=PRIORS)
    torch.testing.assert_close(found, cross_entropy(logits, y, reduction="none"))


def test_falls_without_end_where_a_weight_is_negative():
    y, bag = torch.tensor([[0.0, 1.0]]), torch.tensor([0, 0, 0, 0])
    how = {"bag": bag, "n_bags": 1, "priors": torch.tensor([0.5, 0.5])}  # weights -1.5 and 2.5
    near, far = (easy_llp(torch.tensor([[0.0, z]]).expand(4, 2), y, **how).item() for z in (10.0, 100.0))
    assert far < near < 0
    assert far == pytest.approx(-150)
    held = easy_llp(torch.tensor([[0.0, 100.0]]).expand(4, 2), y, **how, nonnegative=True).item()
    assert held == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nonnegative_leaves_out_classes_whose_part_is_negative(bags, seed):
    logits, y, bag, _ = bags(seed)
    size = torch.tensor([1.0, 4.0, 7.0], dtype=torch.float64)
    found = easy_llp(3 * logits, y, bag=bag, n_bags=3, priors=PRIORS, nonnegative=True)
    parts = [0.0, 0.0, 0.0]
    for i in range(12):
        for c in range(3):
            w = size[bag[i]] * (y[bag[i], c] - PRIORS[c]) + PRIORS[c]
            parts[c] -= float(w * (3 * logits[i]).log_softmax(0)[c])
    assert (size * found).sum().item() == pytest.approx(sum(max(part, 0) for part in parts))
    plain = easy_llp(3 * logits, y, bag=bag, n_bags=3, priors=PRIORS)
    assert (size * plain).sum().item() == pytest.approx(sum(parts))
    assert min(parts) < 0  # there was something to leave out


def test_nonnegative_sums_by_the_weights_of_bags():
    # the weights are (-1/2, 3/2) in the first bag and (3/2, -1/2) in the second: the bag that weighs more decides
    logits = torch.tensor([[-2.0, 0.0]], dtype=torch.float64).expand(4, 2)
    y, bag = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64), torch.tensor([0, 0, 1, 1])
    how = {"bag": bag, "n_bags": 2, "priors": torch.tensor([0.5, 0.5], dtype=torch.float64), "nonnegative": True}
    of_class = np.log1p(np.exp(2)), np.log1p(np.exp(-2))  # -log p
    first = easy_llp(logits, y, **how, bag_weight=torch.tensor([1.9, 0.1], dtype=torch.float64))
    np.testing.assert_allclose(first, [1.5 * of_class[1], -0.5 * of_class[1]])
    second = easy_llp(logits, y, **how, bag_weight=torch.tensor([0.1, 1.9], dtype=torch.float64))
    np.testing.assert_allclose(second, [-0.5 * of_class[0], 1.5 * of_class[0]])


def test_gradient_in_double_precision(bags):
    logits, y, bag, _ = bags(0)

    def value(logits):
        return easy_llp(logits, y, bag=bag, n_bags=3, priors=PRIORS)

    assert torch.autograd.gradcheck(value, logits.requires_grad_())


def test_outputs_far_out_stay_finite():
    logits = torch.tensor([[900.0, -900.0], [-900.0, 900.0]], requires_grad=True)
    for nonnegative in (False, True):
        values = easy_llp(
            logits,
            torch.tensor([[1.0, 0.0]]),
            bag=torch.tensor([0, 0]),
            n_bags=1,
            priors=torch.tensor([0.5, 0.5]),
            nonnegative=nonnegative,
        )
        (gradient,) = torch.autograd.grad(values.sum(), logits)
        assert values.isfinite().all()
        assert gradient.isfinite().all()


def test_learns_rows_by_name():
    rng = np.random.default_rng(0)
    X, bag = rng.normal(size=(600, 2)), np.arange(600) // 4
    y = (X[:, 0] > 0).astype(int)
    for loss in ("easy_llp", Loss("easyllp", nonnegative=True)):
        model = LLPClassifier(loss, hidden_layer_sizes=(), max_epochs=30, lr=0.02, batch_size=60, random_state=0)
        assert model.fit(X, y, bags=bag).score(X, y) > 0.9


def test_the_estimator_tells_it_the_size_of_bags_of_which_it_draws_a_part():
    rng = np.random.default_rng(0)
    X, bag = rng.normal(size=(600, 2)), np.arange(600) // 6
    y = (X[:, 0] > 0).astype(int)
    how = {"hidden_layer_sizes": (), "max_epochs": 30, "lr": 0.02, "random_state": 0}  # ten bags a batch, both times
    whole = LLPClassifier("easy_llp", batch_size=60, **how).fit(X, y, bags=bag).decision_function(X)
    part = LLPClassifier("easy_llp", batch_size=30, max_bag_rows=3, **how).fit(X, y, bags=bag).decision_function(X)
    assert 0.7 < np.std(part) / np.std(whole) < 1.4  # were a part taken for the whole, it would be a quarter
