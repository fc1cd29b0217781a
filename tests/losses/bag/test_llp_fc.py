import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from sklearnloss import LLPClassifier
from sklearnloss.losses.bag.llp_fc import llp_fc


def naive(logits, y, bag, weight):
    """Return the value of each bag, written with loops."""
    n_bags, k = y.shape
    size = [sum(weight[i].item() for i in range(len(logits)) if bag[i] == b) for b in range(n_bags)]
    values = [0.0] * n_bags
    for i in range(len(logits)):
        b = int(bag[i])
        p = np.exp(logits[i].numpy()) / np.exp(logits[i].numpy()).sum()
        told = 0.0
        for c in range(k):
            total = sum(size[other] * y[other, c].item() for other in range(n_bags))
            told += size[b] * y[b, c].item() / total * p[c]
        values[b] -= weight[i].item() / size[b] * math.log(told)
    return values


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_is_the_formula_written_with_loops(bags, seed, weighted):
    logits, y, bag, weight = bags(seed)
    weight = weight if weighted else torch.ones_like(weight)
    found = llp_fc(logits, y, bag=bag, n_bags=3, sample_weight=weight if weighted else None)
    np.testing.assert_allclose(found, naive(logits, y, bag, weight), rtol=1e-12)


def test_worked_numbers():
    # bags (1/2, 1/2) of two rows and (0, 1) of one: P(bag 0 | class) = (1, 1/2), P(bag 1 | class) = (0, 1/2)
    logits = torch.tensor([[0.0, math.log(3)], [math.log(3), 0.0], [0.0, math.log(3)]], dtype=torch.float64)
    y, bag = torch.tensor([[0.5, 0.5], [0.0, 1.0]], dtype=torch.float64), torch.tensor([0, 0, 1])
    wanted = [-(math.log(1 / 4 + 3 / 8) + math.log(3 / 4 + 1 / 8)) / 2, -math.log(3 / 8)]
    np.testing.assert_allclose(llp_fc(logits, y, bag=bag, n_bags=2), wanted)


def test_probabilities_of_the_bags_of_a_row_sum_to_one(bags):
    _, y, _, _ = bags(0)
    row = torch.tensor([[0.3, -1.0, 2.0]], dtype=torch.float64).expand(3, 3)
    told = torch.exp(-llp_fc(row, y, bag=torch.arange(3), n_bags=3, bag_weight=torch.tensor([0.5, 2.0, 1.0])))
    assert told.sum().item() == pytest.approx(1)


def test_is_least_at_the_probabilities_of_classes_in_the_mixture_of_the_bags():
    # kinds of rows with known densities in two classes; each bag holds them in the expected shares
    density = torch.tensor([[0.6, 0.3, 0.1], [0.1, 0.3, 0.6]], dtype=torch.float64)  # (class, kind)
    y = torch.tensor([[0.8, 0.2], [0.5, 0.5], [0.1, 0.9]], dtype=torch.float64)
    size = torch.tensor([2.0, 1.0, 3.0], dtype=torch.float64)
    share = (size @ y) / size.sum()
    posterior = (share[:, None] * density / (share @ density)).T  # (kind, class)
    logits = posterior.log().requires_grad_()
    kind, bag = torch.arange(3).repeat(3), torch.arange(3).repeat_interleave(3)
    weight = size[bag] * (y @ density)[bag, kind]

    def gradient(logits):
        values = llp_fc(logits[kind], y, bag=bag, n_bags=3, sample_weight=weight)
        return torch.autograd.grad((size * values).sum(), logits)[0]

    torch.testing.assert_close(gradient(logits), torch.zeros(3, 2, dtype=torch.float64), atol=1e-12, rtol=0)
    assert gradient(1.1 * logits).abs().max() > 1e-3


def test_pure_bags_one_for_each_class_have_cross_entropy(bags):
    logits, _, bag, _ = bags(0)
    y = torch.eye(3, dtype=torch.float64)
    rows = cross_entropy(logits, bag, reduction="none")
    wanted = torch.stack([rows[bag == b].mean() for b in range(3)])
    torch.testing.assert_close(llp_fc(logits, y, bag=bag, n_bags=3), wanted)


def test_bags_of_the_same_proportions_teach_nothing(bags):
    logits, y, bag, _ = bags(0)
    logits.requires_grad_()
    values = llp_fc(logits, y[:1].expand(3, 3), bag=bag, n_bags=3)
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    torch.testing.assert_close(values, -torch.tensor([1, 4, 7], dtype=torch.float64).div(12).log())
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-12, rtol=0)


def test_a_bag_alone_tells_only_which_classes_it_lacks(bags):
    logits, _, _, _ = bags(0)
    logits.requires_grad_()
    alone = {"bag": torch.zeros(12, dtype=torch.int64), "n_bags": 1}
    value = llp_fc(logits, torch.tensor([[0.2, 0.3, 0.5]], dtype=torch.float64), **alone)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert value.item() == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-12, rtol=0)
    p = logits.detach().softmax(1)
    value = llp_fc(logits, torch.tensor([[0.4, 0.0, 0.6]], dtype=torch.float64), **alone)
    assert value.item() == pytest.approx(-(p[:, 0] + p[:, 2]).log().mean().item())


def test_bags_weigh_by_their_rows_unless_weights_are_given(bags):
    logits, y, bag, _ = bags(0)
    plain = llp_fc(logits, y, bag=bag, n_bags=3)
    size = torch.tensor([1.0, 4.0, 7.0], dtype=torch.float64)
    torch.testing.assert_close(llp_fc(logits, y, bag=bag, n_bags=3, bag_weight=0.2 * size), plain)
    equal = llp_fc(logits, y, bag=bag, n_bags=3, bag_weight=torch.ones(3, dtype=torch.float64))
    share = y / y.sum(0)  # LLPFC-uniform
    told = -(logits.softmax(1) * share[bag]).sum(1).log()
    torch.testing.assert_close(equal, torch.stack([told[bag == b].mean() for b in range(3)]))


def test_a_row_of_weight_zero_is_not_there(bags):
    logits, y, bag, weight = bags(0)
    weight[bag == 2] = torch.tensor([0.0, 1, 2, 0, 1, 3, 1], dtype=torch.float64)
    kept = weight > 0
    found = llp_fc(logits, y, bag=bag, n_bags=3, sample_weight=weight)
    alone = llp_fc(logits[kept], y, bag=bag[kept], n_bags=3, sample_weight=weight[kept])
    torch.testing.assert_close(found, alone)


def test_outputs_far_out_and_absent_classes_stay_finite():
    logits = torch.tensor([[900.0, -900.0, 0.0], [-900.0, 900.0, 0.0], [0.0, 0.0, 900.0]], requires_grad=True)
    y = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    values = llp_fc(logits, y, bag=torch.tensor([0, 1, 1]), n_bags=2, bag_weight=torch.tensor([0.0, 2.0]))
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    assert values.isfinite().all()
    assert gradient.isfinite().all()


def test_gradient_in_double_precision(bags):
    logits, y, bag, weight = bags(0)

    def value(logits):
        return llp_fc(logits, y, bag=bag, n_bags=3, sample_weight=weight)

    assert torch.autograd.gradcheck(value, logits.requires_grad_())


def test_learns_rows_by_name():
    rng = np.random.default_rng(0)
    X, bag = rng.normal(size=(300, 2)), np.arange(300) // 6
    y = (X[:, 0] > 0).astype(int)
    for loss, bag_weight in (("llp_fc", "size"), ("llpfc", "equal")):
        model = LLPClassifier(loss, bag_weight=bag_weight, max_epochs=40, lr=0.02, batch_size=60, random_state=0)
        assert model.fit(X, y, bags=bag).score(X, y) > 0.9
