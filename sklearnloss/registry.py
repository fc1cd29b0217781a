"""The registry: which component has which name.

Plugins are loaded at the first look-up of a name, never at ``import sklearnloss``. A short name that two plugins
carry is an error when it is looked up, never renamed; the full name ``plugin:name`` always works.
"""

import multiprocessing
import threading
from collections import defaultdict
from typing import TypeVar

from sklearnloss.component import KINDS, Component
from sklearnloss.exceptions import AmbiguousNameError, ComponentError, UnknownNameError, did_you_mean, with_article
from sklearnloss.plugins import Plugin, load_plugins

__all__ = ["Registry", "components", "find", "lookup", "plugins", "register", "registry"]

T = TypeVar("T")


class Registry:
    """Components by kind and name; filled at the first look-up."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._plugins: list[Plugin] | None = None
        self._names: dict[tuple[str, str], list[Component]] = defaultdict(list)

    def plugins(self) -> list[Plugin]:
        """Return the plugins that were found, loading them if need be."""
        with self._lock:
            if self._plugins is None:
                loaded = load_plugins()
                for plugin in loaded:
                    for component in plugin.components:
                        self._add(component)
                self._plugins = loaded
            return list(self._plugins)

    def components(self, kind: str | None = None) -> list[Component]:
        """Return all components, or those of a kind, the core's first, then by name."""
        self.plugins()
        unique = {id(c): c for group in self._names.values() for c in group}
        wanted = [c for c in unique.values() if kind is None or c.kind == kind]
        return sorted(wanted, key=lambda c: (list(KINDS).index(c.kind), c.plugin != "core", c.plugin, c.name))

    def lookup(self, kind: str, name: str) -> Component:
        """Return the component of that kind; raise an error that lists near misses."""
        self.plugins()
        plugin, _, short = name.rpartition(":")
        found = [c for c in self._names.get((kind, short), ()) if plugin in ("", c.plugin)]
        if len(found) == 1:
            return found[0]
        if found:
            full = ", ".join(sorted(c.full_name for c in found))
            raise AmbiguousNameError(f"{kind} {name!r} is ambiguous: {full}; write the full name")
        raise UnknownNameError(self._unknown(kind, name))

    def register(self, obj: T) -> T:
        """Register a component for this process only."""
        component = getattr(obj, "component", None)
        if not isinstance(component, Component):
            raise ComponentError(f"{obj!r} is no component; mark it with a decorator such as sklearnloss.loss")
        with self._lock:
            self.plugins()
            for key in (component.name, *component.aliases):
                same = self._names[component.kind, key]
                same[:] = [c for c in same if c.plugin != "local"]  # a cell of a notebook that runs again
            self._add(component.owned_by("local", "0"))
        return obj

    def _add(self, component: Component) -> None:
        for key in (component.name, *component.aliases):
            self._names[component.kind, key].append(component)

    def _unknown(self, kind: str, name: str) -> str:
        known = sorted({key for k, key in self._names if k == kind and self._names[k, key]})
        other = sorted({k for k, key in self._names if key == name and self._names[k, key]})
        message = f"unknown {kind} {name!r}"
        message += f"; it is {with_article(other[0])}" if other else did_you_mean(name, known)
        message += f" ({len(self.components(kind))} are registered: sklearnloss list)"
        for plugin in self._plugins or ():
            if plugin.reason and name.startswith(f"{plugin.name}:"):
                message += f"; plugin {plugin.name!r} was not loaded: {plugin.reason}"
        if multiprocessing.parent_process() is not None:
            message += (
                ". Names given to sklearnloss.register live in one process: pass the function itself, or install it "
                "as a plugin"
            )
        return message


registry = Registry()


def components(kind: str | None = None) -> list[Component]:
    """Return every registered component.

    Parameters
    ----------
    kind : str or None, default=None
        Only those of one kind: ``"loss"``, ``"sampler"``, ...

    Returns
    -------
    list of Component
        Frozen records: kind, name, full_name, task, role, unit, parameters, needs, wishes, link, plugin, version,
        references, summary, aliases, status, obj.

    Raises
    ------
    UnknownNameError
        If there is no such kind.

    Examples
    --------
    >>> "cross_entropy" in [c.name for c in components("loss")]
    True
    """
    if kind is not None and kind not in KINDS:
        raise UnknownNameError(f"unknown kind {kind!r}{did_you_mean(kind, KINDS)} (there are {', '.join(KINDS)})")
    return registry.components(kind)


def lookup(kind: str, name: str) -> Component:
    """Return one component by kind and name (``ldr`` or ``core:ldr``)."""
    return registry.lookup(kind, name)


def find(text: str) -> list[Component]:
    """Return what a user may mean by ``name``, ``kind:name``, ``plugin:name`` or ``plugin:kind:name``.

    Raises
    ------
    UnknownNameError
        If nothing has that name.
    """
    *places, name = text.split(":")
    kind = next((p for p in places if p in KINDS), None)
    plugin = next((p for p in places if p not in KINDS), None)
    found = [c for c in registry.components(kind) if name in (c.name, *c.aliases) and plugin in (None, c.plugin)]
    if not found:
        known = {n for c in registry.components(kind) for n in (c.name, *c.aliases)}
        raise UnknownNameError(f"unknown component {text!r}{did_you_mean(name, known)} (sklearnloss list)")
    return found


def plugins() -> list[Plugin]:
    """Return the plugins that were found, the broken and the disabled ones with their reason."""
    return registry.plugins()


def register(obj: T) -> T:
    """Register a component by its name, in this process only; usable as a decorator.

    A worker of ``n_jobs`` does not know the name: pass the function itself, or install it as a plugin.

    Parameters
    ----------
    obj : callable
        A function or class marked by a decorator of `sklearnloss.component`.

    Returns
    -------
    callable
        The same object.
    """
    return registry.register(obj)
