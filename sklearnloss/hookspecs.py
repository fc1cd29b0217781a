"""The one hook of a plugin.

A plugin is a distribution with an entry point in the group ``sklearnloss``; the object it names has a function marked
with `hookimpl`::

    from sklearnloss import hookimpl

    @hookimpl
    def sklearnloss_components():
        from acme import my_loss
        return [my_loss]

A plugin that needs this version of the interface or a later one says so: ``SKLEARNLOSS_API_VERSION = 1``.
"""

from collections.abc import Callable, Iterable
from typing import Any

import pluggy

__all__ = ["API_VERSION", "hookimpl", "hookspec", "sklearnloss_components"]

API_VERSION = 1

hookspec = pluggy.HookspecMarker("sklearnloss")
hookimpl = pluggy.HookimplMarker("sklearnloss")


@hookspec
def sklearnloss_components() -> Iterable[Callable[..., Any]]:  # type: ignore[empty-body]
    """Return the plugin's components: functions and classes that a decorator of `sklearnloss.component` marked."""
