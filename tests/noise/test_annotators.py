import math

import numpy as np
import pytest

from sklearnloss import aggregate_annotators
from sklearnloss.exceptions import DataError, ParameterError


def answers(seed=0, n=200, skills=(0.95, 0.9, 0.6, 0.55, 0.5), k=3):
    rng = np.random.default_rng(seed)
    truth = rng.integers(k, size=n)
    item, annotator = (grid.ravel() for grid in np.meshgrid(np.arange(n), np.arange(len(skills)), indexing="ij"))
    right = rng.random(len(item)) < np.array(skills)[annotator]
    label = np.where(right, truth[item], (truth[item] + rng.integers(1, k, len(item))) % k)
    return item, annotator, label, truth


def naive_dawid_skene(item, annotator, label, k, smoothing, rounds):
    items, people = sorted(set(item)), sorted(set(annotator))
    triples = list(zip(item, annotator, label, strict=True))
    p = {
        i: [sum(j == i and c == t for j, _, c in triples) / sum(j == i for j, _, _ in triples) for t in range(k)]
        for i in items
    }
    for _ in range(rounds):
        prior = [sum(p[i][t] for i in items) / len(items) for t in range(k)]
        theta = {}
        for a in people:
            for t in range(k):
                counts = [smoothing + sum(p[i][t] for i, b, c in triples if b == a and c == s) for s in range(k)]
                theta[a, t] = [c / sum(counts) for c in counts]
        new = {}
        for i in items:
            logs = [
                math.log(prior[t]) + sum(math.log(theta[a, t][c]) for j, a, c in triples if j == i) for t in range(k)
            ]
            top = max(logs)
            weights = [math.exp(v - top) for v in logs]
            new[i] = [w / sum(weights) for w in weights]
        p = new
    return np.array([p[i] for i in items])


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_equals_the_algorithm_in_plain_loops(rounds):
    item, annotator, label, _ = answers(n=12)
    found = aggregate_annotators(item, annotator, label, smoothing=0.1, max_iter=rounds, tol=0.0)
    expected = naive_dawid_skene(item.tolist(), annotator.tolist(), label.tolist(), 3, 0.1, rounds)
    np.testing.assert_allclose(found.proba, expected, atol=1e-10)
    assert found.n_iter == rounds
    assert not found.converged


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learns_whom_to_believe(seed):
    item, annotator, label, truth = answers(seed)
    majority = aggregate_annotators(item, annotator, label, method="majority")
    weighed = aggregate_annotators(item, annotator, label)
    assert (weighed.labels == truth).mean() > (majority.labels == truth).mean()
    assert weighed.converged
    np.testing.assert_allclose(weighed.accuracy, [0.95, 0.9, 0.6, 0.55, 0.5], atol=0.09)
    np.testing.assert_allclose(weighed.confusion.sum(axis=2), 1)


def test_an_annotator_who_turns_the_labels_round_is_of_use():
    item, annotator, label, truth = answers(skills=(0.9, 0.9, 0.9, 0.0, 0.0), k=2)
    found = aggregate_annotators(item, annotator, label)
    assert (found.labels == truth).mean() > 0.99
    assert found.confusion[3, 0, 1] > 0.9


def test_a_majority_breaks_ties_by_what_is_frequent():
    found = aggregate_annotators(
        [0, 0, 1, 1, 2, 2], [1, 2, 1, 2, 1, 2], ["b", "b", "a", "b", "c", "c"], method="majority"
    )
    assert found.labels.tolist() == ["b", "b", "c"]
    assert found.proba[1].tolist() == [0.5, 0.5, 0.0]
    assert found.accuracy.tolist() == [2 / 3, 1.0]


def test_one_answer_each_is_taken_as_it_is():
    found = aggregate_annotators(["x", "y"], ["p", "p"], [1, 2])
    assert found.labels.tolist() == [1, 2]
    assert found.items.tolist() == ["x", "y"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": ["a"]}, "must be as long as each other, got 2, 2, 1"),
        ({"item": []}, "item must be a list with an entry for each answer"),
        ({"label": ["a", None]}, "label is missing in 1 of 2 answers, first in answer 1"),
        ({"annotator": [np.nan, 1.0]}, "annotator is missing in 1 of 2 answers, first in answer 0"),
    ],
)
def test_answers_that_cannot_be_used_are_refused(change, message):
    with pytest.raises(DataError, match=message):
        aggregate_annotators(**{"item": [0, 1], "annotator": [1, 1], "label": ["a", "b"], **change})


@pytest.mark.parametrize("params", [{"method": "glad"}, {"smoothing": -1}, {"max_iter": 0}, {"tol": -1e-3}])
def test_parameters_out_of_range_are_refused(params):
    with pytest.raises(ParameterError, match=next(iter(params))):
        aggregate_annotators([0], [0], [0], **params)
