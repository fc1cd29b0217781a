"""The angle at the negative: measured on vectors in loops, its limits, further negatives."""

import math

import pytest
import torch

from sklearnloss.functional.mining import mine
from sklearnloss.functional.pairs import Extra
from sklearnloss.miners.angular import angular


def triplets(embeddings, y, **params):
    kept = mine(angular, embeddings, y, unit="triplet", **params)
    partners = mine(lambda block: block.partners, embeddings, y, unit="triplet")
    return {(i, int(partners[i, j]), k) for i, j, k in kept.nonzero().tolist()}


def naive(embeddings, y, angle):
    unit, n = torch.nn.functional.normalize(embeddings, dim=1), len(y)
    found = set()
    for i in range(n):
        for j in range(n):
            for k in range(n):
                if i == j or y[i] != y[j] or y[k] == y[i]:
                    continue
                middle = (unit[i] + unit[j]) / 2
                tangent = (unit[i] - unit[j]).norm() / (2 * (unit[k] - middle).norm())
                if math.atan(float(tangent)) > angle:
                    found.add((i, j, k))
    return found


@pytest.mark.parametrize("degrees", [5, 20, 45])
def test_equals_the_angle_measured_in_plain_loops(scattered, degrees):
    wanted = naive(*scattered, math.radians(degrees))
    assert triplets(*scattered, angle=math.radians(degrees)) == wanted
    assert wanted


def test_the_middle_is_not_put_back_on_the_sphere_as_in_the_peer():
    # anchor and positive at right angles, the negative opposite their middle: 1.707 from it, 2 from its unit vector
    embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    true, peer = (math.atan(math.sqrt(2) / (2 * height)) for height in (1 + math.sqrt(0.5), 2.0))
    y = torch.tensor([0, 0, 1])
    assert triplets(embeddings, y, angle=(true + peer) / 2)
    assert not triplets(embeddings, y, angle=true + 0.01)


def test_a_right_angle_keeps_nothing_and_no_angle_all(scattered):
    embeddings, y = scattered
    assert triplets(embeddings, y, angle=math.pi / 2) == set()
    assert triplets(embeddings, y, angle=0.0) == naive(embeddings, y, 0.0)


@pytest.mark.parametrize("compare", ["cosine", torch.cdist])
def test_looks_at_unit_vectors_whatever_the_loss_compares_by(scattered, compare):
    assert triplets(*scattered, compare=compare) == triplets(*scattered)


def test_measures_the_further_negatives_of_each_anchor(scattered):
    embeddings, y = scattered
    kept = mine(angular, embeddings, y, unit="triplet", extra=(Extra(embeddings[[2] * 14][:, None]),))
    anchors = y != y[2]
    assert torch.equal(kept[anchors, :, 14], kept[anchors, :, 2])


def test_zero_vectors_and_duplicates_are_legal():
    kept = mine(angular, torch.zeros(4, 3), torch.tensor([0, 0, 1, 1]), unit="triplet")
    assert kept.shape == (4, 2, 4)
    assert not mine(angular, torch.ones(4, 3), torch.tensor([0, 0, 1, 1]), unit="triplet").any()
