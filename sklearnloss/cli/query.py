"""Which components a command is about."""

import contextlib
import sys
from typing import TYPE_CHECKING

from sklearnloss.exceptions import UnknownNameError, did_you_mean

if TYPE_CHECKING:
    from sklearnloss.component import Component
    from sklearnloss.plugins import Plugin

__all__ = ["find", "load", "select"]


def load() -> "list[Plugin]":
    """Load the plugins; what one prints at its import goes to stderr, so that JSON on stdout stays JSON."""
    with contextlib.redirect_stdout(sys.stderr):
        from sklearnloss import registry

        return registry.plugins()


def find(name: str) -> "list[Component]":
    """Return what ``name``, ``kind:name``, ``plugin:name`` or ``plugin:kind:name`` may mean."""
    load()
    from sklearnloss import registry

    return registry.find(name)


def select(kind: str | None = None, *, task: str | None = None, plugin: str | None = None) -> "list[Component]":
    """Return the components of a kind, for a task, of a plugin.

    Raises
    ------
    UnknownNameError
        If there is no such kind, task or plugin, or the plugin was not loaded.
    """
    plugins = load()
    from sklearnloss import registry

    found = registry.components(kind)
    if plugin is not None:
        _check_plugin(plugin, plugins)
        found = [c for c in found if c.plugin == plugin]
    if task is not None:
        tasks = sorted({c.task for c in registry.components() if c.task})
        if task not in tasks:
            raise UnknownNameError(f"unknown task {task!r}{did_you_mean(task, tasks)} ({', '.join(tasks)})")
        found = [c for c in found if c.task == task]
    return found


def _check_plugin(name: str, plugins: "list[Plugin]") -> None:
    same = [p for p in plugins if p.name == name]
    if not same:
        near = did_you_mean(name, [p.name for p in plugins])
        raise UnknownNameError(f"unknown plugin {name!r}{near} (sklearnloss plugins)")
    if all(p.status != "loaded" for p in same):
        raise UnknownNameError(
            f"plugin {name!r} ({same[0].distribution} {same[0].version}) was not loaded: {same[0].reason}"
        )
