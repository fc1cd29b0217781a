import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.embedding.proto_triplet import proto_triplet


def batch(labels=(0, 0, 1, 2, 1, 0, 2, 1, 2), d=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(labels), d, dtype=torch.float64, generator=generator), torch.tensor(labels)


def naive(embeddings, y, *, n_support=1, margin=1.0, reduce="mean", tau=1.0, squared=True, weight=1.0):
    rows, labels = embeddings.tolist(), y.tolist()
    classes = sorted(set(labels))
    members = {c: [i for i in range(len(labels)) if labels[i] == c] for c in classes}
    support = {c: members[c][:n_support] for c in classes}
    prototypes = {
        c: [sum(rows[i][j] for i in support[c]) / len(support[c]) for j in range(len(rows[0]))] for c in classes
    }
    totals, valid = [0.0] * len(labels), [0.0] * len(labels)
    for i, label in enumerate(labels):
        if i in support[label] or len(classes) == 1:
            continue
        far = {c: math.dist(rows[i], prototypes[c]) ** (2 if squared else 1) for c in classes}
        wrong = [far[c] for c in classes if c != label]
        if reduce == "mean":
            value = sum(max(0.0, far[label] - w + margin) for w in wrong) / len(wrong)
        elif reduce == "hard":
            value = max(0.0, far[label] - min(wrong) + margin)
        else:
            value = max(0.0, far[label] + tau * math.log(sum(math.exp(-w / tau) for w in wrong)) + margin)
        totals[i] = value + weight * (far[label] + math.log(sum(math.exp(-v) for v in far.values())))
        valid[i] = 1.0
    return torch.tensor(totals, dtype=torch.float64), torch.tensor(valid, dtype=torch.float64)


@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("n_support", [1, 2])
@pytest.mark.parametrize("reduce", ["mean", "hard", "soft"])
def test_equals_the_formula_in_plain_loops(reduce, n_support, squared):
    embeddings, y = batch()
    params = {"reduce": reduce, "n_support": n_support, "squared": squared, "tau": 0.7, "weight": 0.5}
    assert_close(proto_triplet(embeddings, y, **params), naive(embeddings, y, **params))


def test_is_zero_with_no_gradient_where_every_query_beats_the_wrong_prototypes_by_the_margin():
    embeddings = torch.tensor([[0.0, 0.0], [5.0, 0.0], [0.1, 0.0], [5.1, 0.0]], requires_grad=True)
    totals, valid = proto_triplet(embeddings, torch.tensor([0, 1, 0, 1]), weight=0.0)
    (gradient,) = torch.autograd.grad(totals.sum(), embeddings)
    assert totals.tolist() == [0.0] * 4
    assert valid.tolist() == [0.0, 0.0, 1.0, 1.0]
    assert gradient.abs().max() == 0


def test_of_two_classes_the_hardest_is_a_triplet_margin_loss():
    embeddings, y = batch(labels=(0, 1, 0, 1, 1))
    totals, _ = proto_triplet(embeddings, y, reduce="hard", squared=False, weight=0.0, margin=0.4)
    query = torch.tensor([2, 3, 4])
    own, other = embeddings[[0, 1, 1]], embeddings[[1, 0, 0]]
    wanted = torch.nn.functional.triplet_margin_loss(
        embeddings[query], own, other, margin=0.4, reduction="none", eps=0.0
    )
    assert_close(totals[query], wanted)


def test_without_margins_it_is_the_loss_of_prototypical_networks():
    embeddings, y = batch()
    both, hinge = (proto_triplet(embeddings, y, weight=w)[0] for w in (1.0, 0.0))
    prototypes = embeddings[[0, 2, 3]]
    logits = -torch.cdist(embeddings, prototypes).square()
    wanted = torch.nn.functional.cross_entropy(logits, y, reduction="none")
    assert_close((both - hinge)[4:], wanted[4:])


def test_a_constant_added_to_all_embeddings_changes_nothing():
    embeddings, y = batch()
    assert_close(proto_triplet(embeddings + 100.0, y), proto_triplet(embeddings, y))


def test_a_cold_soft_minimum_is_the_hard_one():
    embeddings, y = batch()
    soft, hard = proto_triplet(embeddings, y, reduce="soft", tau=1e-3), proto_triplet(embeddings, y, reduce="hard")
    assert_close(soft, hard, atol=1e-2, rtol=0)


def test_a_class_without_queries_still_has_a_wrong_prototype_and_rows_of_support_have_no_loss():
    embeddings, y = batch(labels=(0, 0, 1))
    totals, valid = proto_triplet(embeddings, y)
    assert valid.tolist() == [0.0, 1.0, 0.0]
    assert_close(totals, naive(embeddings, y)[0])


@pytest.mark.parametrize("labels", [(1, 1, 1), (0, 1, 2), (0,)])
def test_no_query_or_one_class_gives_zero_with_a_valid_gradient(labels):
    embeddings, y = batch(labels=labels)
    totals, valid = proto_triplet(embeddings.requires_grad_(), y)
    (gradient,) = torch.autograd.grad(totals.sum(), embeddings)
    assert totals.abs().max() == valid.max() == gradient.abs().max() == 0


@pytest.mark.parametrize("reduce", ["mean", "hard", "soft"])
def test_gradients_agree_with_differences(reduce):
    embeddings, y = batch()
    assert torch.autograd.gradcheck(lambda e: proto_triplet(e, y, reduce=reduce)[0], embeddings.requires_grad_())
