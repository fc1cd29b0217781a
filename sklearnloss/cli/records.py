"""Components as plain records, for JSON."""

from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sklearnloss.component import Component, Parameter

__all__ = ["link_of", "record"]

PLAIN = (
    "kind", "name", "full_name", "plugin", "version", "summary", "task", "role", "unit", "data", "needs", "wishes",
    "fit_needs", "sampler", "ordered", "proper", "target", "gradient", "static", "monitor", "greater_is_better",
    "status", "aliases", "references",
)  # fmt: skip


def record(component: "Component") -> dict[str, Any]:
    """Return everything about a component that JSON can hold."""
    link, probabilities = link_of(component)
    return {
        **{name: _plain(getattr(component, name)) for name in PLAIN},
        "link": link,
        "predict_proba": probabilities,
        "parameters": [_parameter(p) for p in component.parameters],
        "object": f"{component.obj.__module__}:{component.obj.__qualname__}",
    }


def _parameter(parameter: "Parameter") -> dict[str, Any]:
    constraint = parameter.constraint
    search = constraint.search
    return {
        "name": parameter.name,
        "default": _plain(parameter.default),
        "allowed": constraint.words,
        "choices": _plain(constraint.choices),
        "search": None if search is None else {"low": search.low, "high": search.high, "log": search.log},
        "about": parameter.about,
    }


def _plain(value: Any) -> Any:
    """Return the value if JSON has it, else its ``repr``; infinities are no JSON."""
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and isfinite(value)):
        return value
    return repr(value)


def link_of(component: "Component") -> tuple[str | None, bool | None]:
    """Return the name of a loss's link, and whether class probabilities come from it.

    The first is None where nothing is predicted, the second also where no classes are.
    """
    from sklearnloss.facts import ROLES

    role = ROLES.get(component.role)
    if component.kind != "loss" or role is None or (role.head == "none" and component.link is None):
        return None, None
    link = component.prediction_link
    name = link if isinstance(link, str) else str(getattr(link, "__name__", "its own"))
    return name, None if role.name in ("prediction", "columns") else component.gives_probabilities
