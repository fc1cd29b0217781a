"""Checks of calibrators: scikit-learn estimators from the scores of a model to probabilities."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from sklearnloss.component import Component
from sklearnloss.spec import Choice
from sklearnloss.testing.cases import SEED
from sklearnloss.testing.common import alternatives

__all__ = ["CHECKS"]

Array = np.ndarray

# the others bring rows whose columns are no classes
WITHOUT_ROWS = frozenset(
    {
        "check_do_not_raise_errors_in_init_or_set_params", "check_estimator_cloneable", "check_estimator_repr",
        "check_fit_score_takes_y", "check_mixin_order", "check_no_attributes_set_in_init", "check_valid_tag_types",
    }
)  # fmt: skip
NAMES = np.array(["ant", "bee", "cat", "dog"])
TOO_SURE = 2.5


def _rows(k: int, n: int = 300) -> tuple[Array, Array]:
    """Return scores that are 2.5 times too sure, (n, k) or (n, 1) of two classes, and classes 0..k-1."""
    rng = np.random.default_rng(SEED)
    truth = rng.normal(size=(n, k))
    y = (truth + rng.gumbel(size=(n, k))).argmax(axis=1)  # drawn with the probabilities softmax(truth)
    scores = TOO_SURE * truth
    return (scores[:, [1]] - scores[:, [0]] if k == 2 else scores), y


def _built(component: Component, **params: Any) -> Any:
    return Choice(component, params).build()


def _surprise(proba: Array, y: Array) -> float:
    """Return the mean negative log likelihood."""
    with np.errstate(divide="ignore"):
        return float(-np.log(proba[np.arange(len(y)), y]).mean())


def calibrator_is_an_estimator(component: Component) -> None:
    """It passes scikit-learn's checks that bring no rows; fit returns it, and forgets an earlier fit."""
    check_estimator(_built(component), legacy=False, on_skip=None, on_fail=None, callback=_raise_failure)
    X, y = _rows(4)
    model = _built(component)
    assert model.fit(X, y) is model, "fit does not return self"
    fresh = model.predict_proba(X)
    model.fit(*_rows(2))
    assert np.array_equal(model.fit(X, y).predict_proba(X), fresh), "a second fit remembers the first"


def _raise_failure(*, check_name: str, exception: BaseException | None, status: str, **more: Any) -> None:
    if status == "failed" and check_name in WITHOUT_ROWS:
        raise AssertionError(f"scikit-learn's {check_name} fails: {exception}") from exception


def calibrator_gives_probabilities(component: Component) -> None:
    """Rows of probabilities sum to one, a column for each class in sorted order, whatever else is in the batch."""
    for k in (2, 4):
        X, y = _rows(k)
        before = X.copy()
        model = _built(component).fit(X, NAMES[y])
        extreme = np.vstack([X, 1e4 * X[:5]])
        proba = model.predict_proba(extreme)
        assert np.array_equal(X, before), "the scores were changed in place"
        assert np.array_equal(model.classes_, NAMES[:k]), f"classes_ is {model.classes_}, not {NAMES[:k]}"
        assert proba.shape == (len(extreme), k), f"of {k} classes the shape is {proba.shape}"
        assert bool(((proba >= 0) & (proba <= 1)).all()), f"of {k} classes a probability leaves [0, 1]"
        assert np.allclose(proba.sum(axis=1), 1), f"of {k} classes the rows sum to {proba.sum(axis=1)[:3]}, ..."
        assert np.allclose(model.predict_proba(X[3:5]), proba[3:5]), "a row depends on the others"
        highest = model.classes_[proba.argmax(axis=1)]
        assert np.array_equal(model.predict(extreme), highest), "predict is not the class of the highest probability"


def calibrator_fits_its_rows(component: Component) -> None:
    """Scores that are too sure surprise less once calibrated, on the rows of the fit."""
    for k in (2, 4):
        X, y = _rows(k)
        logits = np.hstack([0 * X, X]) if k == 2 else X
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        plain = _surprise(powers / powers.sum(axis=1, keepdims=True), y)
        calibrated = _surprise(_built(component).fit(X, y).predict_proba(X), y)
        assert calibrated < plain, (
            f"of {k} classes the log loss is {calibrated:.3f}, that of the bare scores {plain:.3f}"
        )


def calibrator_weight_is_repetition(component: Component) -> None:
    """A weight of two is the row twice, a weight of zero is no row."""
    X, y = _rows(4)
    weights = np.random.default_rng(SEED).integers(0, 3, len(y))
    weighted = _built(component).fit(X, y, sample_weight=weights.astype(float)).predict_proba(X)
    repeated = _built(component).fit(X.repeat(weights, axis=0), y.repeat(weights)).predict_proba(X)
    gap = np.abs(weighted - repeated).max()
    assert gap < 1e-3, f"probabilities differ by {gap:.2g} from those of repeated rows"


def calibrator_parameters_matter(component: Component) -> None:
    """Each hyperparameter changes the probabilities."""
    X, y = _rows(4)
    plain = _built(component).fit(X, y).predict_proba(X)
    for parameter in component.parameters:
        others = (_built(component, **{parameter.name: v}).fit(X, y).predict_proba(X) for v in alternatives(parameter))
        assert any(not np.array_equal(other, plain) for other in others), f"{parameter.name} changes nothing"


def calibrator_state_is_plain(component: Component) -> None:
    """What fit learnt is numbers, texts and arrays of them in public attributes that end in ``_``."""
    X, y = _rows(4)
    model = _built(component).fit(X, NAMES[y])
    state = {name: value for name, value in vars(model).items() if name.endswith("_")}
    for name, value in state.items():
        kind = value.dtype.kind if isinstance(value, np.ndarray) else type(value)
        assert kind in (*"biufU", bool, int, float, str), (
            f"{name} is a {type(value).__name__}; keep numbers, texts or arrays of them, which can be saved"
        )
    twin = clone(model)
    for name, value in state.items():
        setattr(twin, name, value.copy() if isinstance(value, np.ndarray) else value)
    try:
        same = np.array_equal(twin.predict_proba(X), model.predict_proba(X))
    except Exception as error:
        raise AssertionError(f"the attributes that end in _ are not enough to predict: {error}") from error
    assert same, "a model with the same attributes that end in _ predicts something else"


def _calibrator(component: Component) -> bool:
    return component.kind == "calibrator"


CHECKS: dict[str, tuple[Callable[[Component], None], Callable[[Component], bool]]] = {
    check.__name__: (check, _calibrator)
    for check in (
        calibrator_is_an_estimator,
        calibrator_gives_probabilities,
        calibrator_fits_its_rows,
        calibrator_weight_is_repetition,
        calibrator_parameters_matter,
        calibrator_state_is_plain,
    )
}
