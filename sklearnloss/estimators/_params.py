"""Parameters that are specs: ``loss__lam`` works on a plain string by promotion."""

from typing import Any, ClassVar, Self

from sklearnloss.exceptions import ParameterError
from sklearnloss.spec import promote

__all__ = ["SpecParams"]


class SpecParams:
    """A mixin in front of ``BaseEstimator`` whose spec-valued parameters may be names, callables, mappings or specs."""

    _spec_kinds: ClassVar[dict[str, str]] = {}

    def set_params(self, **params: Any) -> Self:
        """Set parameters of this estimator and of its specs.

        ``set_params(loss="ldr", loss__lam=2.0)`` makes ``loss=Loss("ldr", lam=2.0)``; a plain name is promoted to a
        spec, and one that the user holds is copied, never changed.

        Parameters
        ----------
        **params
            Names of parameters, and ``loss__lam`` for a parameter of a spec.

        Returns
        -------
        self

        Raises
        ------
        ParameterError
            If the component has no such hyperparameter; it lists the right ones.
        """
        nested: dict[str, dict[str, Any]] = {}
        plain: dict[str, Any] = {}
        for key, value in params.items():
            name, _, rest = key.partition("__")
            if rest and name in self._spec_kinds:
                nested.setdefault(name, {})[rest] = value
            else:
                plain[key] = value
        super().set_params(**plain)  # type: ignore[misc]
        for name, changes in nested.items():
            current = getattr(self, name)
            if current is None:
                raise ParameterError(
                    f"{type(self).__name__}: {name} is None, so {name}__{next(iter(changes))} has nothing to change; "
                    f"set {name} as well"
                )
            spec = promote(self._spec_kinds[name], current)
            spec.set_params(**changes)
            setattr(self, name, spec)
        return self
