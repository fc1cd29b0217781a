import pytest
from sklearn.utils.estimator_checks import check_estimator

from sklearnloss import Calibrator

# one row has one class, (n,) is a column of scores, and two columns that do not point at the classes teach nothing
ELSE = {"check_fit2d_1sample", "check_fit2d_predict1d", "check_classifiers_train"}


@pytest.mark.parametrize("name", ["temperature", "vector", "matrix", "sigmoid", "isotonic"])
def test_a_calibrator_passes_every_check_of_scikit_learn_whose_rows_have_a_column_for_each_class(name):
    results = check_estimator(Calibrator(name).choose().build(), on_fail=None, on_skip=None)
    passed = {r["check_name"] for r in results if r["status"] == "passed"}
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    others = {check for check, error in failed.items() if not about_columns(error)}
    assert others <= ELSE
    assert len(passed) > 30


def about_columns(error):
    """Whether the rows of the check were no scores of the classes; a check may wrap the error in its own."""
    while error is not None:
        if "every class needs a column and a row" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
