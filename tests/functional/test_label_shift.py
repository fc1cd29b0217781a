from itertools import permutations

import numpy as np
import pytest

from sklearnloss.exceptions import DataError
from sklearnloss.functional.label_shift import LatentShift, anchored, balanced, discover, factorized

# P(x | class) on six values, two of which only class 0 takes, one only class 1, one only class 2
GIVEN_CLASS = np.array(
    [[0.4, 0.0, 0.0], [0.3, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, 0.6], [0.2, 0.3, 0.1], [0.1, 0.2, 0.3]]
)
CLASS_GIVEN_DOMAIN = np.array([[0.6, 0.2, 0.1, 0.3], [0.3, 0.2, 0.7, 0.1], [0.1, 0.6, 0.2, 0.6]])


def permuted(found, true):
    """Return the order of found classes that is nearest to the true one."""
    return min(permutations(range(len(true))), key=lambda order: np.abs(found[list(order)] - true).sum())


def discrete(n=20000, share=(0.25, 0.25, 0.25, 0.25)):
    """Return x and domains whose counts are exact, and the exact q(d | x)."""
    given_domain = GIVEN_CLASS @ CLASS_GIVEN_DOMAIN  # (6, 4)
    joint = given_domain * np.asarray(share)
    counts = np.rint(joint * n).astype(int)
    x, domain = (np.repeat(part.ravel(), counts.ravel()) for part in np.indices(counts.shape))
    q = joint / joint.sum(axis=1, keepdims=True)
    return x, domain, q


@pytest.mark.parametrize("share", [(0.25, 0.25, 0.25, 0.25), (0.1, 0.2, 0.4, 0.3)])
def test_exact_domain_probabilities_with_anchors_give_the_shares_and_the_classes(share):
    x, domain, q = discrete(share=share)
    found = discover(q[x], domain, n_classes=3, n_clusters=6, random_state=0)
    order = list(permuted(found.class_given_domain, CLASS_GIVEN_DOMAIN))
    np.testing.assert_allclose(found.class_given_domain[order], CLASS_GIVEN_DOMAIN, atol=0.01)
    # p(y | x) of the mixture by Bayes
    mix = CLASS_GIVEN_DOMAIN @ np.asarray(share)
    truth = GIVEN_CLASS * mix / (GIVEN_CLASS @ mix)[:, None]
    np.testing.assert_allclose(found.class_proba(q)[:, order], truth, atol=0.02)
    for d in range(4):
        truth = GIVEN_CLASS * CLASS_GIVEN_DOMAIN[:, d]
        proba = found.class_proba(q, np.full(6, d))[:, order]
        np.testing.assert_allclose(proba, truth / truth.sum(axis=1, keepdims=True), atol=0.02)


def test_columns_sum_to_one_and_classes_come_from_the_commonest_to_the_rarest():
    x, domain, q = discrete()
    rng = np.random.default_rng(0)
    noisy = q[x] * rng.uniform(0.5, 1.5, size=(len(x), 4))
    found = discover(noisy / noisy.sum(1, keepdims=True), domain, n_classes=3, random_state=0)
    np.testing.assert_allclose(found.class_given_domain.sum(0), 1)
    np.testing.assert_allclose(found.cluster_given_class.sum(0), 1)
    np.testing.assert_allclose(found.domain_given_class.sum(0), 1)
    np.testing.assert_allclose(found.class_proba(q).sum(1), 1)
    shares = found.class_given_domain @ np.bincount(domain)
    assert (np.diff(shares) <= 0).all()


def test_without_a_domain_the_classes_are_those_of_the_mixture_of_domains():
    x, domain, q = discrete(share=(0.1, 0.2, 0.4, 0.3))
    found = discover(q[x], domain, n_classes=3, n_clusters=6, random_state=0)
    mixed = sum(q[:, [d]] * found.class_proba(q, np.full(6, d)) for d in range(4))
    np.testing.assert_allclose(found.class_proba(q), mixed, atol=0.01)


def test_of_pure_domains_the_classes_are_the_domains():
    rng = np.random.default_rng(0)
    share = np.array([0.5, 0.3, 0.2])
    q = rng.dirichlet([0.3, 0.3, 0.3], size=50)
    pure = LatentShift(np.eye(3), np.eye(3), np.eye(3), share, 0.0)
    np.testing.assert_allclose(pure.class_proba(q), q, atol=1e-9)
    np.testing.assert_allclose(pure.class_proba(q, np.arange(50) % 3), np.eye(3)[np.arange(50) % 3])


def test_domains_of_unequal_size_are_made_equal():
    even = np.array([[0.2, 0.8], [0.5, 0.5]])
    share = np.array([0.9, 0.1])
    seen = even * share
    np.testing.assert_allclose(balanced(seen / seen.sum(1, keepdims=True), share), even)


def test_negative_class_probabilities_are_clipped():
    found = LatentShift(np.array([[0.6, 0.4], [0.4, 0.6]]), np.eye(2), np.eye(2), np.array([0.5, 0.5]), 0.0)
    proba = found.class_proba(np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]))  # more certain than the shares allow
    np.testing.assert_allclose(proba, [[1, 0], [0, 1], [0.5, 0.5]], atol=1e-9)


def test_a_factorization_leaves_nothing_of_a_product():
    rng = np.random.RandomState(0)
    of_classes, of_domains, error = factorized(GIVEN_CLASS @ CLASS_GIVEN_DOMAIN, 3, n_init=3, rng=rng)
    assert error < 1e-3
    np.testing.assert_allclose(of_classes @ of_domains, GIVEN_CLASS @ CLASS_GIVEN_DOMAIN, atol=1e-3)


def test_anchors_give_the_factors_up_to_scale():
    of_classes, of_domains = anchored(GIVEN_CLASS @ CLASS_GIVEN_DOMAIN, 3)
    np.testing.assert_allclose(of_classes @ of_domains, GIVEN_CLASS @ CLASS_GIVEN_DOMAIN, atol=1e-12)
    rows = of_domains / of_domains.sum(1, keepdims=True)
    true = CLASS_GIVEN_DOMAIN / CLASS_GIVEN_DOMAIN.sum(1, keepdims=True)
    np.testing.assert_allclose(rows[list(permuted(rows, true))], true, atol=1e-12)


def test_a_class_that_no_domain_needs_gets_nothing_and_no_nan():
    matrix = np.outer([0.5, 0.3, 0.2], np.ones(3))  # all domains alike: one class says it all
    of_classes, of_domains, _ = factorized(matrix, 2, n_init=2, rng=np.random.RandomState(0))
    for part in (of_classes, of_domains):
        assert np.isfinite(part).all()
        np.testing.assert_allclose(part.sum(0), 1)


def test_what_cannot_be_found_is_refused():
    x, domain, q = discrete()
    with pytest.raises(DataError, match="5 classes need as many domains"):
        discover(q[x], domain, n_classes=5)
    with pytest.raises(DataError, match="tells no domains apart"):
        discover(np.full((100, 4), 0.25), np.arange(100) % 4, n_classes=2)
    with pytest.raises(DataError, match="domain 3 has no row"):
        discover(q[x][domain < 3], domain[domain < 3], n_classes=2)
