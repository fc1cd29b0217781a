"""A network that is watched while it trains."""

from typing import Any

from sklearn.base import clone

from sklearnloss.estimators.classifier import LossClassifier
from sklearnloss.exceptions import TaskError
from sklearnloss.facts import ROLES
from sklearnloss.spec import Loss, Sum, choose_terms, named_terms
from sklearnloss.training.recorder import MarginRecorder

__all__ = ["recorded"]


def recorded(estimator: LossClassifier, X: Any, y: Any, **params: Any) -> MarginRecorder:
    """Fit a clone of a classifier, and return what was recorded while it trained.

    Parameters
    ----------
    estimator : LossClassifier
        Its loss must look at logits, one for each class.
    X, y : as in its ``fit``
        Rows and classes.
    **params
        Parameters of the clone.

    Raises
    ------
    TaskError
        If the loss looks at something else.
    """
    model = clone(estimator).set_params(**{"early_stopping": False, "calibrate": None, "warm_start": False, **params})
    roles = {c.component.title: c.component.role for c in choose_terms(model.loss).values()}
    headed = {title: role for title, role in roles.items() if role in ROLES and ROLES[role].head != "none"}
    wrong = [title for title, role in headed.items() if role != "logits"]
    if wrong or not headed:
        raise TaskError(
            f"the margins of a row are differences of logits, which {(wrong or list(roles))[0]} does not look at; use "
            "'cross_entropy', or another loss whose role is 'logits': sklearnloss list"
        )
    model.set_params(loss=_with_recorder(model.loss))
    model.fit(X, y)
    term = model.net_.criterion_.terms[-1]
    recorder = term.modules_[0].cpu()
    assert isinstance(recorder, MarginRecorder)
    return recorder


def _with_recorder(loss: Any) -> Any:
    return Sum([*named_terms(loss).values(), Loss(MarginRecorder, coef=0.0)])
