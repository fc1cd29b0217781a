"""Two lines of Python that use a component."""

import inspect
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sklearnloss.component import Component

__all__ = ["usage"]

# which estimator takes a loss, by what the loss works on; LossClassifier takes the others
ESTIMATORS = {
    "prediction": "LossRegressor",
    "columns": "LossRegressor",
    "embeddings": "MetricEmbedder",
    "view_a": "MetricEmbedder",
}
# which keyword of an estimator takes a kind
ARGUMENTS = {kind: kind for kind in ("sampler", "mixup", "reduction", "optimizer", "mode", "miner", "distance")}
ARGUMENTS |= {"calibrator": "calibrate", "view": "views"}
OF_EMBEDDINGS = frozenset({"miner", "distance", "view"})  # kinds that only MetricEmbedder takes
SHOWN = 4  # hyperparameters


def usage(component: "Component") -> list[str]:
    """Return an import and a call: through an estimator where one takes the component, else of the object itself."""
    import sklearnloss

    estimator = _estimator(component)
    if component.kind == "loss" and estimator in sklearnloss.__all__:
        return _fitted(component, estimator, "Loss")
    if component.kind in ARGUMENTS:
        embeds = component.kind in OF_EMBEDDINGS or component.role == "embeddings"
        taker = "MetricEmbedder" if embeds else "LossClassifier"
        return _fitted(component, taker, component.kind.capitalize())
    if component.kind == "strategy":
        return _asked(component)
    return _called(component)


def _asked(component: "Component") -> list[str]:
    params, name = _params(component), f'"{_name(component)}"'
    names = ["ActiveLearner", "Strategy"] if params else ["ActiveLearner"]
    spec = f"Strategy({name}{params})" if params else name
    return [
        f"from sklearnloss import {', '.join(names)}",
        f"rows = ActiveLearner(model, {spec}).fit(X, y).query()",
    ]


def _fitted(component: "Component", estimator: str, cls: str) -> list[str]:
    spec = f'"{_name(component)}"'
    params = _params(component)
    if component.kind == "loss" and _is_added(component):
        spec = f'Loss("cross_entropy") + 0.1 * Loss({spec}{params})'
    elif params:
        spec = f"{cls}({spec}{params})"
    names = sorted({estimator, cls}) if f"{cls}(" in spec else [estimator]
    data = ["X"] if component.kind == "view" else ["X", "y"]
    arguments = ", ".join([*data, *(f"{name}={name}" for name in _row_facts(component))])
    given = f"{ARGUMENTS.get(component.kind, component.kind)}={spec}"
    if beside := _beside(component):
        given = f'"{beside}", {given}'
    return [
        f"from sklearnloss import {', '.join(names)}",
        f"model = {estimator}({given}).fit({arguments})",
    ]


def _estimator(component: "Component") -> str:
    """Return the name of the estimator that takes a loss."""
    if component.unit == "bag":
        return "LLPClassifier"
    # one for classes may work on features, and predict from them
    return "LossClassifier" if component.task == "multiclass" else ESTIMATORS.get(component.role, "LossClassifier")


def _is_added(component: "Component") -> bool:
    """Whether a loss is a term beside another: a regularizer, or one for classes that predicts nothing."""
    headless = component.role == "embeddings" and component.link is None
    return not component.role or (headless and component.task == "multiclass")


def _beside(component: "Component") -> str:
    """Return the loss that an example needs beside the component, or nothing."""
    if component.kind == "distance" or (component.kind == "mixup" and component.role == "embeddings"):
        return "contrastive"
    return ""


def _called(component: "Component") -> list[str]:
    name, facts = component.obj.__name__, (*component.fit_needs, *component.needs)
    data = () if component.is_class else component.data
    given = [*data, *(f"{fact}={fact}" for fact in facts if not component.is_class or fact in component.fit_needs)]
    if component.is_class and component.kind in ("estimator", "selection", "calibrator"):
        given = _required(component) + given
    arguments = (", ".join(given) + _params(component)).removeprefix(", ")
    return [f"from {component.obj.__module__} import {name}", f"{name}({arguments})"]


def _required(component: "Component") -> list[str]:
    """Return the arguments of an estimator that have no default, such as the model that it wraps."""
    arguments = inspect.signature(component.obj).parameters.values()
    return [a.name for a in arguments if a.default is a.empty and a.kind is a.POSITIONAL_OR_KEYWORD]


def _params(component: "Component") -> str:
    """Return the first hyperparameters at their defaults, each after a comma; those that Python reads back."""
    plain = [p for p in component.parameters if isinstance(p.default, (bool, int, float, str)) and p.default != inf]
    return "".join(f", {p.name}={p.default!r}" for p in plain[:SHOWN]).replace("'", '"')


def _name(component: "Component") -> str:
    """Return the short name if it is enough."""
    from sklearnloss import registry

    same = [c for c in registry.components(component.kind) if component.name in (c.name, *c.aliases)]
    return component.name if len(same) == 1 else component.full_name


def _row_facts(component: "Component") -> list[str]:
    from sklearnloss.facts import FACTS

    return [n for n in (*component.data[1:], *component.needs) if n in FACTS and FACTS[n].scope == "row"]
