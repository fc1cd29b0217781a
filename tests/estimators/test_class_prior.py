import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import check_estimator

from sklearnloss import ClassPriorEstimator
from sklearnloss.estimators.class_prior import best_bin, elkan_noto
from sklearnloss.exceptions import DataError, ParameterError

# positives h and negatives g on three values; where the ratio g / h is least it is 0.41833, not 0
H = np.array([0.2, 0.3, 0.5])
G = np.array([0.5, 0.290835, 0.209165])
KAPPA = 0.4
F = (1 - KAPPA) * G + KAPPA * H
POSTERIOR = KAPPA * H / F  # P(positive | x) of unlabelled rows


def least_ratio(positive, unlabeled):
    """Return the least ratio of the shares of a value, which is what exact base estimators find."""
    h, f = (np.bincount(part[:, 0].astype(int), minlength=3) / len(part) for part in (positive, unlabeled))
    return np.min(f / h)


@pytest.fixture(scope="module")
def discrete():
    """Return rows with exact counts."""
    counts_h, counts_f = np.rint(20000 * H).astype(int), np.rint(200000 * F).astype(int)
    X = np.concatenate([np.repeat(np.arange(3), counts) for counts in (counts_h, counts_f)])[:, None].astype(float)
    return X, np.repeat([1, 0], [counts_h.sum(), counts_f.sum()])


def prior(discrete, **params):
    return ClassPriorEstimator(least_ratio, random_state=0, **params).fit(*discrete)


def in_top(X):
    return X[:, 0] == 2


def test_the_base_is_too_large_and_the_wrapper_gives_the_true_share(discrete):
    base = prior(discrete)
    assert base.prior_ == pytest.approx(KAPPA + (1 - KAPPA) * (G / H).min(), abs=1e-3)
    assert base.prior_ == pytest.approx(0.651, abs=1e-3)
    assert base.base_prior_ == base.prior_
    assert base.kept_ == 1
    wrapped = prior(discrete, wrapper="sumpe", region=in_top, supremum=POSTERIOR[2])
    assert wrapped.prior_ == pytest.approx(0.400, abs=0.004)


@pytest.mark.parametrize("inside", [[0], [1], [2], [0, 1], [1, 2], [0, 2], [0, 1, 2]])
def test_every_region_gives_the_true_share_if_the_supremum_is_exact(discrete, inside):
    def region(X):
        return np.isin(X[:, 0], inside)

    found = prior(discrete, wrapper="sumpe", region=region, supremum=POSTERIOR[inside].max())
    assert found.prior_ == pytest.approx(KAPPA, abs=0.005)


def test_a_supremum_of_one_is_the_base(discrete):
    wrapped = prior(discrete, wrapper="sumpe", region=in_top, supremum=1.0)
    assert wrapped.kept_ == 1
    assert wrapped.prior_ == prior(discrete).prior_


def test_a_supremum_too_large_stays_between_and_one_too_small_falls_below(discrete):
    large, small = (
        prior(discrete, wrapper="sumpe", region=in_top, supremum=s).prior_
        for s in (POSTERIOR[2] + 0.15, POSTERIOR[2] - 0.15)
    )
    assert KAPPA + 0.01 < large < prior(discrete).prior_ - 0.01
    assert small < KAPPA - 0.01


def test_the_share_that_is_kept_is_that_outside_and_the_supremum_of_that_inside(discrete):
    X, s = discrete
    inside = in_top(X)[s == 0].mean()
    assert prior(discrete, wrapper="sumpe", region=in_top, supremum=0.7).kept_ == pytest.approx(
        1 - inside + 0.7 * inside
    )


def test_a_mask_is_the_same_as_a_function(discrete):
    one, other = (prior(discrete, wrapper="sumpe", region=r, supremum=0.6) for r in (in_top, in_top(discrete[0])))
    assert one.prior_ == other.prior_
    assert clone(other).fit(*discrete).prior_ == other.prior_


class Pilot:
    """A classifier that knows the posterior."""

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        p = POSTERIOR[X[:, 0].astype(int)]
        return np.stack([1 - p, p], axis=1)


def test_a_pilot_gives_region_and_supremum(discrete):
    found = prior(discrete, wrapper="sumpe", region=Pilot())
    assert found.prior_ == pytest.approx(KAPPA, abs=0.005)
    likely = prior(discrete, wrapper="sumpe", region=lambda X: X[:, 0] >= 1, supremum=POSTERIOR[2])
    assert found.kept_ == likely.kept_  # the likelier half begins within the middle value


@pytest.mark.parametrize("base", ["bbe", "en"])
def test_bases_on_scores_find_the_share_where_positives_lie_apart(base):
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(2.5, 1, 900), rng.normal(-2.5, 1, 600)])[:, None]
    s = np.repeat([1, 0, 0], [500, 400, 600])
    model = ClassPriorEstimator(base, estimator=LogisticRegression(), random_state=0).fit(X, s)
    assert model.prior_ == pytest.approx(0.4, abs=0.08)


def test_the_wrapper_takes_away_bias_of_scores_too():
    rng = np.random.default_rng(0)
    gaps = {"base": [], "sumpe": []}
    for seed in range(3):
        # a fifth of the negatives look like positives, so no place is free of them
        positive, twins, others = rng.normal(2, 1, 2000), rng.normal(2, 1, 240), rng.normal(-2, 1, 960)
        X = np.concatenate([positive, rng.normal(2, 1, 800), twins, others])[:, None]
        s = np.repeat([1, 0], [2000, 2000])
        model = ClassPriorEstimator(estimator=LogisticRegression(), random_state=seed)
        gaps["base"].append(model.fit(X, s).prior_ - 0.4)
        # where others are rare the share of positives is 800 of 1040
        model.set_params(wrapper="sumpe", region=lambda X: X[:, 0] > 1, supremum=800 / 1040)
        gaps["sumpe"].append(abs(model.fit(X, s).prior_ - 0.4))
    assert min(gaps["base"]) > 0.05
    assert max(gaps["sumpe"]) < 0.05


def test_best_bin_is_the_least_bound_over_thresholds():
    rng = np.random.default_rng(0)
    positive, unlabeled = rng.beta(4, 2, 80).round(2), rng.beta(2, 3, 150).round(2)
    width = np.sqrt(np.log(40) / 300) + np.sqrt(np.log(40) / 160)
    bounds = {}
    for z in positive:
        q_p, q_u = (positive >= z).mean(), (unlabeled >= z).mean()
        bounds[q_u / q_p + 1.01 * width / q_p] = q_u / q_p
    assert best_bin(positive, unlabeled) == pytest.approx(bounds[min(bounds)])


def test_elkan_noto_is_exact_for_the_exact_probability_of_being_labelled():
    # 100 labelled of 100 + 0.3 * 500 positives, that lie apart from the others
    assert elkan_noto(np.full(100, 100 / 250), np.zeros(500)) == pytest.approx(0.3)
    assert elkan_noto(np.full(100, 1e-9), np.zeros(10)) == 1


@pytest.mark.parametrize("marks", [(0, 1), (-1, 1), (False, True)])
def test_the_larger_value_marks_labelled_rows(discrete, marks):
    X, s = discrete
    assert prior((X, np.asarray(marks)[s])).prior_ == prior(discrete).prior_


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"wrapper": "sumpe"}, ParameterError, "needs region"),
        ({"wrapper": "sumpe", "region": in_top}, ParameterError, "needs supremum"),
        ({"wrapper": "sumpe", "region": lambda X: X[:, 0] > 9, "supremum": 0.5}, DataError, "no unlabelled row"),
        ({"wrapper": "sumpe", "region": lambda X: X[:, 0], "supremum": 0.5}, DataError, "True or False"),
        ({"wrapper": "sumpe", "region": [True, False], "supremum": 0.5}, DataError, "True or False"),
        ({"supremum": 0.0}, ValueError, "supremum"),
        ({"wrapper": "other"}, ValueError, "wrapper"),
    ],
)
def test_what_is_missing_or_wrong_is_refused(discrete, params, error, message):
    with pytest.raises(error, match=message):
        prior(discrete, **params)


def test_marks_and_folds_must_fit():
    X = np.arange(8.0)[:, None]
    with pytest.raises(DataError, match="it has 3 class"):
        ClassPriorEstimator().fit(X, [0, 1, 2, 0, 1, 2, 0, 1])
    with pytest.raises(DataError, match="cv=5 folds"):
        ClassPriorEstimator().fit(X, [0, 1] * 4)


def test_checks_of_scikit_learn():
    results = check_estimator(ClassPriorEstimator(estimator=LogisticRegression(), cv=2), on_fail=None, on_skip=None)
    failed = {r["check_name"] for r in results if r["status"] == "failed"}
    assert failed == {"check_fit_score_takes_y"}  # its second argument is called s
