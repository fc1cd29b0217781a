"""Which losses are compared: those the user named, those of a grid file, or every one that applies."""

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sklearn.model_selection import ParameterGrid

from sklearnloss import registry
from sklearnloss.comparison.protocols import Protocol
from sklearnloss.component import Component
from sklearnloss.exceptions import DataError, SklearnLossError
from sklearnloss.spec import Loss, Spec, Sum, as_loss, choose_terms

__all__ = ["Candidate", "applicable", "find_candidates", "left_out", "name_of", "read_grid", "refusal_of", "short_name"]

Check = Callable[[Any], None]


@dataclass(frozen=True)
class Candidate:
    """A loss of a comparison.

    Attributes
    ----------
    name : str
        What tables call it: ``gce``, ``gce(q=0.4)``, or the user's own name.
    spec : str, callable, Loss or Sum
        What the estimator takes.
    """

    name: str
    spec: Any

    @property
    def proper(self) -> bool:
        """Whether its probabilities are estimates of those of the classes."""
        return next(iter(choose_terms(self.spec).values())).component.proper and len(choose_terms(self.spec)) == 1


def find_candidates(losses: Any, protocol: Protocol, check: Check) -> list[Candidate]:
    """Return the losses to compare; of those that nobody named the baseline is the first.

    Parameters
    ----------
    losses : None, "all", str, sequence or mapping
        None is every loss that applies, but those whose formula is a guess; ``"all"`` these too. Else names, specs and
        callables; or a mapping from loss to its grid ``{"q": [.4, .7]}``, or from a name of one's own to a spec.
    protocol : Protocol
        Of the task.
    check : callable
        Raises an error if a spec does not fit the targets, or needs what was not given.

    Raises
    ------
    UnknownNameError, ParameterError, TaskError, MissingFactError
        If a loss that was named does not exist, does not take its parameters, or does not fit.
    """
    if losses is None or (isinstance(losses, str) and losses == "all"):
        found = [Candidate(c.name, short_name(c)) for c in applicable(protocol, check)]
        kept = [c for c in found if losses == "all" or _status(c) != "guess"]
        return sorted(kept, key=lambda c: c.name != protocol.baseline)
    candidates = _named(losses)
    if not candidates:
        raise DataError("losses is empty; name at least one, or leave it out for every loss that applies")
    for candidate in candidates:
        check(candidate.spec)
    twice = [c.name for i, c in enumerate(candidates) if c.name in {d.name for d in candidates[:i]}]
    if twice:
        raise DataError(f"losses holds {twice[0]!r} twice; leave one out, or give it a name of its own: {{name: loss}}")
    return candidates


def applicable(protocol: Protocol, check: Check) -> list[Component]:
    """Return the registered losses of the task that pass the check."""
    return [component for component, refusal in _checked(protocol, check) if refusal is None]


def left_out(protocol: Protocol, check: Check) -> list[str]:
    """Return in words which registered losses of the task do not pass the check, and why, one text for each reason."""
    by_reason: dict[str, list[str]] = {}
    for component, refusal in _checked(protocol, check):
        if refusal is not None:
            reason = str(refusal).removeprefix(component.title)
            by_reason.setdefault(reason, []).append(short_name(component))
    return [f"left out: {', '.join(names)}{_because(reason, len(names))}" for reason, names in by_reason.items()]


def _because(reason: str, count: int) -> str:
    """Return a reason as it goes on after the names; one that began with the loss begins with a space."""
    if reason.startswith(" "):
        return f", {'which' if count == 1 else 'each of which'}{reason}"
    return f": {reason.removeprefix(': ')}"


def _checked(protocol: Protocol, check: Check) -> Iterator[tuple[Component, SklearnLossError | None]]:
    """Yield the registered losses of the task, each with what the check says against it."""
    for component in registry.components("loss"):
        if component.task not in protocol.families or not component.role:
            continue
        yield component, refusal_of(component.full_name, check)


def refusal_of(spec: Any, check: Check) -> SklearnLossError | None:
    """Return what the check says against a loss; None if it passes."""
    try:
        check(spec)
    except SklearnLossError as refusal:
        return refusal
    return None


def read_grid(path: Path) -> dict[str, Any]:
    """Read a grid of losses: TOML tables or JSON objects, ``[gce]`` with ``q = [0.4, 0.7]``.

    Raises
    ------
    DataError
        If the file is missing, is neither, or holds something else.
    """
    if path.suffix not in (".toml", ".json"):
        raise DataError(f"a grid of losses is a .toml or .json file, got {path.name!r}")
    try:
        text = path.read_bytes().decode()
        grid = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except FileNotFoundError:
        raise DataError(f"grid file {str(path)!r} does not exist") from None
    except OSError as error:
        raise DataError(f"grid file {str(path)!r} cannot be read: {error.strerror}") from None
    except ValueError as error:  # not UTF-8, not TOML, not JSON
        raise DataError(f"grid file {str(path)!r} is not {path.suffix[1:].upper()}: {error}") from None
    if not isinstance(grid, dict) or not all(isinstance(values, dict) for values in grid.values()):
        raise DataError(f"grid file {str(path)!r} must hold a table for each loss, such as [gce] with q = [0.4, 0.7]")
    return {loss: {k: v if isinstance(v, list) else [v] for k, v in values.items()} for loss, values in grid.items()}


def _named(losses: Any) -> list[Candidate]:
    if isinstance(losses, Mapping):
        return [c for name, value in losses.items() for c in _expanded(name, value)]
    if isinstance(losses, str | Spec | Sum) or callable(losses):
        losses = [losses]
    return [Candidate(name_of(spec), _plain(spec)) for spec in losses]


def _expanded(name: Any, value: Any) -> list[Candidate]:
    """Return the candidates of one entry of a mapping: a grid over a loss, or a spec under a name of its own."""
    if isinstance(value, Mapping) and "spec" not in value:
        try:
            grid = list(ParameterGrid(dict(value)))
        except (TypeError, ValueError) as error:
            raise DataError(f"the grid of {name!r} must give a list of values for each parameter: {error}") from None
        specs = [Loss(name, **params) if params else name for params in grid]
        return [Candidate(name_of(spec), spec) for spec in specs]
    return [Candidate(str(name), _plain(value))]


def _plain(spec: Any) -> Any:
    return spec if isinstance(spec, str | Sum) or callable(spec) else as_loss(spec)


def name_of(spec: Any) -> str:
    """Return what a table calls a loss.

    Examples
    --------
    >>> name_of("ldr"), name_of(Loss("gce", q=0.4)), name_of(Loss("cross_entropy") + 0.1 * Loss("supcon", tau=0.2))
    ('ldr', 'gce(q=0.4)', 'cross_entropy + 0.1 * supcon(tau=0.2)')
    """
    if isinstance(spec, Sum):
        return " + ".join(_term_name(term) for term in spec.terms)
    if isinstance(spec, str):
        return spec
    return _term_name(as_loss(spec))


def _term_name(term: Loss) -> str:
    name = term.spec if isinstance(term.spec, str) else term.name
    params = ", ".join(f"{k}={v!r}" for k, v in term.params.items())
    shown = f"{name}({params})" if params else name
    return shown if term.coef == 1.0 else f"{term.coef:g} * {shown}"


def short_name(component: Component) -> str:
    """Return the short name of a component if it says which."""
    try:
        registry.lookup(component.kind, component.name)
    except SklearnLossError:  # another plugin has a loss of that name
        return component.full_name
    return component.name


def _status(candidate: Candidate) -> str:
    return next(iter(choose_terms(candidate.spec).values())).component.status
