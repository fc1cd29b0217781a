import itertools

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from torch.nn.functional import cross_entropy

from sklearnloss import Loss, LossClassifier, fact, loss, reduction, sampler
from sklearnloss.exceptions import FactError, MissingFactError

fact("visited", scope="row", about="for these tests")


@loss("follow", task="multiclass")
def follow(logits, y, *, teacher):
    """Learn what the teacher says, whatever y is."""
    return cross_entropy(logits, teacher.argmax(1), reduction="none")


@loss("wishful", task="multiclass")
def wishful(logits, y, *, teacher=None):
    return cross_entropy(logits, y if teacher is None else teacher.argmax(1), reduction="none")


@reduction("of_group")
def of_group(values, weights, *, group):
    """Count the rows of group 1 only."""
    return (values * (group == 1)).mean()


@sampler("of_domain")
def of_domain(domain, *, batch_size, rng):
    """Draw the rows of domain 0 only."""
    yield np.flatnonzero(domain == 0)


@pytest.fixture
def taught(blobs):
    """Data, and a teacher that is wrong on every row in the same way: its class is y + 1."""
    X, y = blobs
    return X, y, 20.0 * np.eye(3)[(y + 1) % 3]


def agreement(model, X, y):
    return np.mean(model.predict(X) == (y + 1) % 3)


def test_a_row_fact_reaches_the_loss_row_by_row(quick, taught):
    X, y, teacher = taught
    assert agreement(quick(follow).fit(X, y, teacher=teacher), X, y) > 0.9
    assert agreement(quick(follow, batch_size=16).partial_fit(X, y, teacher=teacher), X, y) > 0.5


def test_a_row_fact_stays_with_its_rows_when_some_are_held_out(quick, taught):
    X, y, teacher = taught
    model = quick(follow, calibrate="sigmoid", batch_size=16).fit(X, y, teacher=teacher)
    assert (model.decision_function(X).argmax(1) == (y + 1) % 3).mean() > 0.9


CASES = list(itertools.product([False, True], [False, True], [False, True], [1, 2]))


@pytest.mark.parametrize(("routing", "piped", "searched", "n_jobs"), CASES)
def test_a_row_fact_travels_through_scikit_learn(quick, taught, routing, piped, searched, n_jobs):
    X, y, teacher = taught
    # a share of one for the teacher: y itself says nothing
    model = quick(Loss("kd", alpha=1.0), max_epochs=8, lr=0.1)
    whole = make_pipeline(MinMaxScaler(), model) if piped else model
    prefix = "lossclassifier__" if piped else ""
    params = {"teacher" if routing or not piped else f"{prefix}teacher": teacher}
    with sklearn.config_context(enable_metadata_routing=routing):
        if searched:
            search = GridSearchCV(whole, {f"{prefix}loss__tau": [1.0, 4.0]}, cv=3, n_jobs=n_jobs, error_score="raise")
            fitted = [search.fit(X, y, **params)]
            scores = search.cv_results_["mean_test_score"]
        else:
            result = cross_validate(
                whole, X, y, cv=3, n_jobs=n_jobs, params=params, error_score="raise", return_estimator=True
            )
            fitted, scores = result["estimator"], result["test_score"]
    assert max(scores) < 0.1
    assert all(agreement(one, X, y) > 0.9 for one in fitted)


@pytest.mark.parametrize("routing", [False, True])
def test_a_row_fact_travels_through_a_plain_pipeline(quick, taught, routing):
    X, y, teacher = taught
    pipeline = make_pipeline(MinMaxScaler(), quick(follow))
    with sklearn.config_context(enable_metadata_routing=routing):
        pipeline.fit(X, y, **{"teacher" if routing else "lossclassifier__teacher": teacher})
    assert agreement(pipeline, X, y) > 0.9


def test_set_fit_request_takes_any_name_and_survives_a_clone(quick):
    with sklearn.config_context(enable_metadata_routing=True):
        model = quick().set_fit_request(teacher="soft_labels", mask=True, sample_weight=True, group=False)
        requests = clone(model).get_metadata_routing().fit.requests
    assert requests["teacher"] == "soft_labels"
    assert requests["mask"] is True
    assert requests["sample_weight"] is True
    assert requests["group"] is False
    assert requests["domain"] is True  # the vocabulary is requested by default


def test_a_request_may_rename_a_row_fact_or_keep_it_out(quick, taught):
    X, y, teacher = taught
    with sklearn.config_context(enable_metadata_routing=True):
        renamed = quick(follow).set_fit_request(teacher="soft_labels")
        search = GridSearchCV(renamed, {"lr": [0.05]}, cv=3, error_score="raise").fit(X, y, soft_labels=teacher)
        assert agreement(search, X, y) > 0.9
        kept_out = quick(wishful).set_fit_request(teacher=False, group=True)
        result = GridSearchCV(kept_out, {"lr": [0.05]}, cv=3, error_score="raise").fit(X, y, group=y)
        assert agreement(result, X, y) < 0.1


def test_set_fit_request_says_what_it_needs():
    with pytest.raises(RuntimeError, match="enable_metadata_routing=True"):
        LossClassifier().set_fit_request(teacher=True)


def test_routing_requests_the_facts_of_a_spec_with_its_own_vocabulary(quick):
    @loss("seeing", task="multiclass")
    def seeing(logits, y, *, visited):
        return cross_entropy(logits, y, reduction="none")

    assert quick(seeing).get_metadata_routing().fit.requests["visited"] is True


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_grid_over_losses_passes_a_fact_that_only_one_of_them_names(quick, taught, n_jobs):
    X, y, teacher = taught
    grid = [{"loss": ["cross_entropy"]}, {"loss": [Loss("kd", alpha=1.0)], "loss__tau": [2.0]}]
    search = GridSearchCV(quick(), grid, cv=3, n_jobs=n_jobs, error_score="raise").fit(X, y, teacher=teacher)
    right, wrong = search.cv_results_["mean_test_score"]
    assert right > 0.9
    assert wrong < 0.1


def test_a_known_fact_that_nobody_names_is_ignored(quick, taught):
    X, y, teacher = taught
    given = quick().fit(X, y, teacher=teacher, domain=y, group=None)
    np.testing.assert_array_equal(given.predict_proba(X), quick().fit(X, y).predict_proba(X))


def test_a_wish_is_used_when_it_is_there(quick, taught):
    X, y, teacher = taught
    assert agreement(quick(wishful).fit(X, y, teacher=teacher), X, y) > 0.9
    assert agreement(quick(wishful).fit(X, y), X, y) < 0.1


def test_a_wish_that_comes_with_a_later_call_is_used_from_then_on(quick, taught):
    X, y, teacher = taught
    model = quick(wishful, lr=0.1).partial_fit(X, y)
    for _ in range(20):
        model.partial_fit(X, y, teacher=teacher)
    assert agreement(model, X, y) > 0.9
    for _ in range(20):
        model.partial_fit(X, y)
    assert agreement(model, X, y) < 0.1


def test_an_unknown_name_is_a_type_error_with_the_nearest_name(quick, blobs):
    X, y = blobs
    wanted = (
        r"^LossClassifier.fit: unknown argument 'teachr'; did you mean 'teacher'\?; row facts are annotator, distances"
    )
    with pytest.raises(TypeError, match=wanted) as caught:
        quick().fit(X, y, teachr=np.eye(3)[y])
    assert isinstance(caught.value, FactError)


@pytest.mark.parametrize("name", ["index", "epoch", "priors", "features"])
def test_a_fact_of_the_trainer_is_refused(quick, blobs, name):
    X, y = blobs
    with pytest.raises(FactError, match=f"^LossClassifier.fit: '{name}' is supplied by the trainer; leave it out$"):
        quick().fit(X, y, **{name: np.zeros(90)})


def test_a_missing_fact_is_named_with_the_call_that_gives_it(quick, blobs):
    X, y = blobs
    wanted = r"^loss 'kd' needs 'teacher', an array with one row per sample: fit\(X, y, teacher=\.\.\.\)$"
    with pytest.raises(MissingFactError, match=wanted):
        quick("kd").fit(X, y)
    with pytest.raises(MissingFactError, match=wanted):
        quick("kd").fit(X, y, teacher=None)
    with pytest.raises(MissingFactError, match=wanted):
        quick(Loss("cross_entropy") + Loss("kd")).fit(X, y)


def test_a_fact_that_is_missing_at_a_later_call_is_named_too(quick, taught):
    X, y, teacher = taught
    model = quick("kd").partial_fit(X, y, teacher=teacher)
    with pytest.raises(MissingFactError, match=r"^loss 'kd' needs 'teacher'"):
        model.partial_fit(X, y)


def test_a_missing_fact_of_a_reduction_is_named(quick, blobs):
    X, y = blobs
    with pytest.raises(MissingFactError, match=r"^reduction 'of_group' needs 'group'"):
        quick(reduction=of_group).fit(X, y)


def test_a_missing_fact_of_a_sampler_is_named(quick, blobs):
    X, y = blobs
    with pytest.raises(MissingFactError, match=r"^sampler 'of_domain' needs 'domain'"):
        quick(sampler=of_domain).fit(X, y)


def test_a_reduction_and_a_sampler_get_the_row_facts_they_name(quick, blobs):
    X, y = blobs
    flipped = np.where(np.arange(90) < 45, y, (y + 1) % 3)
    second = (np.arange(90) >= 45).astype(int)
    for params, given in (
        ({"reduction": of_group}, {"group": second}),
        ({"sampler": of_domain}, {"domain": 1 - second}),
    ):
        model = quick(lr=0.1, **params).fit(X, flipped, **given)
        assert agreement(model, X, y) > 0.9


def test_a_row_fact_has_a_row_for_each_sample_and_no_holes(quick, taught):
    X, y, teacher = taught
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        quick(follow).fit(X, y, teacher=teacher[:-1])
    teacher[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"LossClassifier.fit: teacher holds NaN or infinite values"):
        quick(follow).fit(X, y, teacher=teacher)


def test_names_of_groups_become_numbers(quick, blobs):
    X, y = blobs
    seen = {}

    @loss("grouped", task="multiclass")
    def grouped(logits, y, *, group, n_groups):
        seen.update(group=group, n_groups=n_groups)
        return cross_entropy(logits, y, reduction="none")

    quick(grouped, max_epochs=1).fit(X, y, group=np.array(["b", "a", "c"])[y])
    assert seen["n_groups"] == 3
    assert seen["group"].dtype == torch.int64
    assert set(seen["group"].tolist()) == {0, 1, 2}


def test_classes_fixes_the_columns_of_a_teacher_where_y_lacks_some(quick, blobs):
    X, y = blobs
    few = y < 2
    teacher = 20.0 * np.eye(3)[(y[few] + 1) % 3]
    model = quick(follow).fit(X[few], y[few], teacher=teacher, classes=[0, 1, 2])
    assert model.classes_.tolist() == [0, 1, 2]
    assert agreement(model, X[few], y[few]) > 0.9
    wanted = (
        r"^teacher must have one column for each of the 2 classes \[0, 1\], got shape \(\d+, 3\); classes= fixes them"
    )
    with pytest.raises(FactError, match=wanted):
        quick(follow).fit(X[few], y[few], teacher=teacher)


@pytest.mark.parametrize("order", [["low", "mid", "top"], ["mid", "top", "low"], ["top", "low", "mid"]])
def test_columns_of_a_teacher_are_those_of_the_sorted_classes_whatever_their_order(quick, blobs, order):
    X, y = blobs
    names = np.array(["low", "mid", "top"])
    model = quick(follow, class_order=order).fit(X, names[y], teacher=20.0 * np.eye(3)[(y + 1) % 3])
    assert model.classes_.tolist() == names.tolist()
    assert np.mean(model.predict(X) == names[(y + 1) % 3]) > 0.9
