import pytest
from sklearn.utils.estimator_checks import check_estimator

from sklearnloss import LossClassifier, PrototypeClassifier

CLASSIFIERS = [
    *(LossClassifier(loss) for loss in ("cross_entropy", "bce")),
    *(PrototypeClassifier(metric) for metric in ("cosine", "euclidean", "squared_euclidean")),
]


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=repr)
def test_a_classifier_with_default_parameters_passes_every_check_of_scikit_learn(classifier):
    results = check_estimator(classifier, on_fail=None, on_skip=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    skipped = {r["check_name"] for r in results if r["status"] == "skipped"}
    assert failed == {}
    assert skipped <= {"check_array_api_input"}  # needs SCIPY_ARRAY_API and a package
    assert len(results) > 50
