"""One test function for all components: pytest's parametrization from the registry."""

from collections.abc import Callable
from typing import Any

from sklearnloss.component import Component
from sklearnloss.registry import components
from sklearnloss.testing.checks import Check, checks_for

__all__ = ["components_to_check", "parametrize_components"]


def components_to_check(plugin: str | None = None, kind: str | None = None) -> list[Component]:
    """Return the components of a plugin, or of all.

    Parameters
    ----------
    plugin : str or None, default=None
        Name of the plugin's entry point, ``"core"`` for the package itself.
    kind : str or None, default=None
        Only those of one kind.

    Raises
    ------
    LookupError
        If there are none: a suite that checks nothing must not pass.
    """
    found = [c for c in components(kind) if plugin in (None, c.plugin)]
    if not found:
        raise LookupError(f"no component of plugin {plugin!r} is registered; is it installed? (sklearnloss plugins)")
    return found


def parametrize_components(plugin: str | None = None, kind: str | None = None) -> Callable[[Any], Any]:
    """Parametrize a test over every check of every component.

    Parameters
    ----------
    plugin : str or None, default=None
        Name of the plugin's entry point.
    kind : str or None, default=None
        Only components of one kind.

    Returns
    -------
    callable
        A decorator of a test function ``(component, check)``.

    Raises
    ------
    ImportError
        If pytest is not installed.

    Examples
    --------
    The whole conformance test of a plugin:

    >>> @parametrize_components(plugin="core", kind="reduction")
    ... def test_conforms(component, check):
    ...     check(component)
    """
    try:
        import pytest
    except ImportError as error:
        raise ImportError("parametrize_components makes tests for pytest: pip install pytest") from error

    pairs: list[tuple[Component, Check]] = [(c, k) for c in components_to_check(plugin, kind) for k in checks_for(c)]
    names = [f"{c.kind}:{c.full_name}-{k.name}" for c, k in pairs]
    return pytest.mark.parametrize(("component", "check"), pairs, ids=names)
