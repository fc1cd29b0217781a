import numpy as np
import pytest

from sklearnloss import LossClassifier, Mode, load
from sklearnloss.exceptions import DataError, TaskError
from sklearnloss.functional.label_shift import discover


@pytest.fixture(scope="module")
def shifted():
    """Two classes, each of two far blobs that are nearer to one of the other class; three domains."""
    rng = np.random.default_rng(0)
    domain = np.repeat(["a", "b", "c"], 200)
    positive = rng.random(600) < np.repeat([0.15, 0.5, 0.9], 200)
    place = np.where(positive, 3.0, 0.0) + np.where(rng.random(600) < 0.5, 6.0, 0.0)
    return np.stack([place + rng.normal(scale=0.3, size=600), rng.normal(size=600)], axis=1), domain, positive


def fitted(shifted, **params):
    X, domain, _ = shifted
    small = {"hidden_layer_sizes": (16,), "lr": 0.02, "max_epochs": 25, "random_state": 0}
    mode = Mode("ddfa", n_latent=2, n_init=3)
    return LossClassifier(**(small | {"mode": mode} | params)).fit(X, domain)


def test_classes_are_found_that_clusters_of_the_columns_are_not(shifted):
    X, domain, positive = shifted
    model = fitted(shifted)
    found = model.net_.mode.class_proba(model.predict_proba(X), np.searchsorted(model.classes_, domain)).argmax(1)
    assert max((found == positive).mean(), (found != positive).mean()) > 0.9


def test_the_domains_are_learned_as_without_the_mode(shifted):
    X = shifted[0]
    np.testing.assert_array_equal(fitted(shifted).predict_proba(X), fitted(shifted, mode=None).predict_proba(X))


def test_the_algebra_is_that_of_the_predicted_probabilities(shifted):
    X, domain, _ = shifted
    model = fitted(shifted)
    codes = np.searchsorted(model.classes_, domain)
    by_hand = discover(model.predict_proba(X), codes, n_classes=2, n_init=3, random_state=1)
    np.testing.assert_allclose(model.net_.mode.class_given_domain_, by_hand.class_given_domain, atol=0.02)
    np.testing.assert_allclose(model.net_.mode.domain_given_class_.sum(0), 1)


def test_rows_held_out_are_not_counted(shifted):
    model = fitted(shifted, early_stopping=True, validation_fraction=0.5, max_epochs=3)
    share = model.net_.mode.found_.domain_share * 300
    np.testing.assert_allclose(share, share.round(), atol=1e-9)


def test_what_was_found_is_saved(shifted, tmp_path):
    model = fitted(shifted)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    for one, other in zip(again.net_.mode.found_, model.net_.mode.found_, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_it_does_not_know_is_refused(shifted):
    with pytest.raises(DataError, match="4 classes need as many domains"):
        fitted(shifted, mode=Mode("ddfa", n_latent=4), max_epochs=1)
    X, domain, _ = shifted
    with pytest.raises(TaskError, match="from logits"):
        LossClassifier("bce", mode="ddfa", max_epochs=1).fit(X[:400], domain[:400])
    with pytest.raises(AttributeError, match="found nothing yet"):
        _ = Mode("ddfa").choose().build().class_given_domain_
