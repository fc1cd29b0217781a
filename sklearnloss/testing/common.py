"""Checks of every kind of component: its declaration, its spec, its docstring."""

import copy
import doctest
import importlib
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from sklearn.base import clone

from sklearnloss.component import Component, Parameter
from sklearnloss.constraints import Constraint
from sklearnloss.exceptions import ParameterError
from sklearnloss.spec import SPECS, Spec

__all__ = ["CHECKS", "alternatives"]


def alternatives(parameter: Parameter) -> Iterator[Any]:
    """Yield values of a hyperparameter that are allowed and differ from its default."""
    rule = parameter.constraint
    candidates = [*rule.choices]
    if rule.search is not None:
        candidates += [rule.search.low, rule.search.high]
    default = parameter.default
    if isinstance(default, bool):
        candidates.append(not default)
    elif isinstance(default, int):
        candidates += [default + 1, default * 3, max(default - 1, 0)]
    elif isinstance(default, float):
        candidates += [default * 2, default / 2, default + 0.5, default - 0.25]
    elif default is None and rule.interval is not None:
        candidates += [0.5, 1.0, 2, 1]
    for value in candidates:
        if rule.allows(value) and not (type(value) is type(default) and value == default):
            yield value


def refused(rule: Constraint) -> Iterator[Any]:
    """Yield values that a range does not allow."""
    if rule.interval is not None:
        low, high = rule.interval.low, rule.interval.high
        yield from (v for v in (low - 1, high + 1, low, high) if np.isfinite(v) and not rule.allows(v))
    if rule.choices and not rule.allows("no such choice"):
        yield "no such choice"


def declaration_holds_each_fact_once(component: Component) -> None:
    """No name is at once data, a fact and a hyperparameter, and every parameter's default is allowed."""
    names = [*component.data, *component.needs, *component.wishes, *(p.name for p in component.parameters)]
    twice = {n for n in names if names.count(n) > 1}
    assert not twice, f"{sorted(twice)} are declared twice"
    for parameter in component.parameters:
        assert parameter.constraint.allows(parameter.default), f"{parameter.name} does not allow its own default"
        assert parameter.constraint.words != "any value", (
            f"{parameter.name} has no range; annotate it, for example 'Positive', 'bool' or 'Literal[...]'"
        )


def spec_is_cloned_pickled_and_printed(component: Component) -> None:
    """The spec survives get_params, set_params, clone, pickle, deepcopy, and its repr evaluates back."""
    cls = SPECS[component.kind]
    changed = {p.name: v for p in component.parameters for v in [next(alternatives(p), None)] if v is not None}
    spec = cls(component.obj, **changed)
    for twin in (clone(spec), copy.deepcopy(spec), pickle.loads(pickle.dumps(spec))):
        assert isinstance(twin, Spec)
        _same(twin.get_params(), spec.get_params())
    named = cls(component.name, **changed)
    assert eval(repr(named), {cls.__name__: cls, **_names()}) == named, f"repr {named!r} does not evaluate back"
    again = cls(component.obj).set_params(**changed)
    _same(again.get_params(), spec.get_params())


def _names() -> dict[str, Any]:
    return {"inf": float("inf"), "nan": float("nan")}


def _same(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert a.keys() == b.keys() and all(a[k] is b[k] or a[k] == b[k] for k in a), f"parameters changed: {a} against {b}"


def bad_values_are_refused_by_name_and_range(component: Component) -> None:
    """A value out of range is refused by a message with name and range; so is an unknown parameter."""
    cls = SPECS[component.kind]
    for parameter in component.parameters:
        for value in refused(parameter.constraint):
            try:
                cls(component.obj, **{parameter.name: value}).choose()
            except ParameterError as error:
                text = str(error)
                assert parameter.name in text and str(parameter.constraint) in text, f"unclear message: {text}"
            else:
                raise AssertionError(f"{parameter.name}={value!r} was accepted")
    try:
        cls(component.obj, no_such_parameter=1).choose()
    except ParameterError as error:
        assert all(p.name in str(error) for p in component.parameters), f"unclear message: {error}"
    else:
        raise AssertionError("an unknown parameter was accepted")


def docstring_is_complete(component: Component) -> None:
    """The docstring has a summary, every parameter, a reference, and an example."""
    assert component.summary, "the docstring has no first sentence"
    missing = [p.name for p in component.parameters if not p.about]
    assert not missing, f"the docstring does not describe {missing}"
    assert component.references, "the docstring has no References section with '.. [1] ...'"
    text = component.obj.__doc__ or ""
    takes = component.parameters or component.data
    for section in ("Parameters", "Examples") if takes else ("Examples",):
        assert f"{section}\n" in text, f"the docstring has no {section} section"


def example_runs(component: Component) -> None:
    """The docstring's example runs and prints what it says."""
    module = importlib.import_module(component.obj.__module__)
    names = {**vars(module), "torch": torch, "np": np}
    tests = [t for t in doctest.DocTestFinder(recurse=False).find(component.obj, globs=names) if t.examples]
    assert tests, "the docstring has no example"
    runner = Examples(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    for test in tests:
        runner.run(test)


class Examples(doctest.DocTestRunner):
    """Runs examples and stops at the first that is wrong, with what it should and does give."""

    def report_failure(self, out: Any, test: doctest.DocTest, example: doctest.Example, got: str) -> None:
        """Say what came out."""
        raise AssertionError(f"'{example.source.strip()}' should give '{example.want.strip()}', gives '{got.strip()}'")

    def report_unexpected_exception(
        self, out: Any, test: doctest.DocTest, example: doctest.Example, exc_info: Any
    ) -> None:
        """Say what was raised."""
        raise AssertionError(f"'{example.source.strip()}' raises {exc_info[0].__name__}: {exc_info[1]}")


def _has_spec(component: Component) -> bool:
    return component.kind in SPECS


def _any(component: Component) -> bool:
    return True


CHECKS: dict[str, tuple[Callable[[Component], None], Callable[[Component], bool]]] = {
    "declaration_holds_each_fact_once": (declaration_holds_each_fact_once, _any),
    "spec_is_cloned_pickled_and_printed": (spec_is_cloned_pickled_and_printed, _has_spec),
    "bad_values_are_refused_by_name_and_range": (bad_values_are_refused_by_name_and_range, _has_spec),
    "docstring_is_complete": (docstring_is_complete, _any),
    "example_runs": (example_runs, _any),
}
