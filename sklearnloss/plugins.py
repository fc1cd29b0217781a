"""Finding and loading plugins.

pluggy's own entry-point loader stops at the first plugin that fails and passes over a second of the same name in
silence; here a broken plugin costs only itself, and a warning names it, its distribution and the reason.
"""

import importlib
import os
import pkgutil
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, distributions, version
from typing import Any

import pluggy

from sklearnloss import hookspecs
from sklearnloss.component import KINDS, Component
from sklearnloss.exceptions import PluginWarning
from sklearnloss.hookspecs import hookimpl

__all__ = ["GROUP", "CorePlugin", "Plugin", "disabled", "load_plugins"]

GROUP = "sklearnloss"
CORE_PACKAGES = (
    "losses", "reductions", "samplers", "miners", "distances", "mixups", "views", "strategies", "selection", "metrics",
    "optimizers", "calibrators", "diagnostics", "callbacks", "modes", "estimators", "noise",
)  # fmt: skip


@dataclass(frozen=True)
class Plugin:
    """A plugin that was found: what it gave, or why it was not loaded."""

    name: str
    distribution: str
    version: str
    components: tuple[Component, ...] = ()
    reason: str = ""

    @property
    def status(self) -> str:
        """``loaded``, ``disabled`` or ``broken``."""
        if not self.reason:
            return "loaded"
        return "disabled" if self.reason.startswith("disabled") else "broken"


class CorePlugin:
    """The package's own components: it walks its folders, so that a new component is a new file and nothing else."""

    @staticmethod
    @hookimpl
    def sklearnloss_components() -> Iterable[Callable[..., Any]]:
        """Return every component defined in a module of the component folders."""
        return [obj for package in CORE_PACKAGES for obj in _walk(f"sklearnloss.{package}")]


def _walk(package: str) -> Iterator[Callable[..., Any]]:
    try:
        root = importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name == package:  # a folder that has no component yet
            return
        raise
    for module_info in pkgutil.iter_modules(root.__path__, prefix=f"{package}."):
        if module_info.ispkg:
            yield from _walk(module_info.name)
            continue
        module = importlib.import_module(module_info.name)
        for obj in list(vars(module).values()):
            component = getattr(obj, "component", None)
            if isinstance(component, Component) and obj.__module__ == module.__name__:
                yield obj


def disabled() -> frozenset[str]:
    """Names of the plugins that ``SKLEARNLOSS_DISABLE`` (separated by commas) turns off."""
    return frozenset(name.strip() for name in os.environ.get("SKLEARNLOSS_DISABLE", "").split(",") if name.strip())


def load_plugins() -> list[Plugin]:
    """Load the core and every installed plugin; a broken one is warned of and costs only itself.

    Returns
    -------
    list of Plugin
        The core first, then the others by name.
    """
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    core = _collect(manager, CorePlugin(), "core", "sklearnloss", version("sklearnloss"))
    found, seen = [core], {"core"}
    for distribution, entry in _entry_points():
        plugin = _load(manager, entry, distribution.metadata["Name"] or "?", distribution.version, seen)
        seen.add(entry.name)
        found.append(plugin)
        if plugin.status == "broken":
            warnings.warn(
                f"plugin {plugin.name!r} ({plugin.distribution} {plugin.version}) was not loaded: {plugin.reason}",
                PluginWarning,
                stacklevel=2,
            )
    return found


def _entry_points() -> list[tuple[Any, EntryPoint]]:
    found: dict[tuple[str, str], tuple[Any, EntryPoint]] = {}
    for distribution in distributions():
        for entry in distribution.entry_points:
            if entry.group == GROUP:  # the same distribution may stand on the path twice
                name = distribution.metadata["Name"] or "?"
                found.setdefault((name, entry.name), (distribution, entry))
    return [found[key] for key in sorted(found, key=lambda k: (k[1], k[0]))]


def _load(manager: pluggy.PluginManager, entry: EntryPoint, distribution: str, ver: str, seen: set[str]) -> Plugin:
    if entry.name in disabled():  # before its import
        return Plugin(entry.name, distribution, ver, reason="disabled by SKLEARNLOSS_DISABLE")
    if entry.name == "local" or entry.name in KINDS or ":" in entry.name:
        return Plugin(entry.name, distribution, ver, reason=f"a plugin cannot be called {entry.name!r}")
    if entry.name in seen:
        return Plugin(entry.name, distribution, ver, reason=f"another plugin is called {entry.name!r}")
    try:
        module = entry.load()
        wanted = getattr(module, "SKLEARNLOSS_API_VERSION", hookspecs.API_VERSION)
        if wanted > hookspecs.API_VERSION:
            raise ImportError(f"it needs version {wanted} of the plugin interface, this is {hookspecs.API_VERSION}")
        return _collect(manager, module, entry.name, distribution, ver)
    except (Exception, SystemExit) as error:  # whatever a stranger's import raises
        if manager.get_plugin(entry.name) is not None:
            manager.unregister(name=entry.name)
        return Plugin(entry.name, distribution, ver, reason=f"{_words(error)}")


def _words(error: BaseException) -> str:
    return str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"


def _collect(manager: pluggy.PluginManager, module: Any, name: str, distribution: str, ver: str) -> Plugin:
    manager.register(module, name=name)
    others = [p for p in manager.get_plugins() if p is not module]
    caller = manager.subset_hook_caller("sklearnloss_components", remove_plugins=others)
    if not caller.get_hookimpls():
        raise TypeError("it has no function 'sklearnloss_components' marked with sklearnloss.hookimpl")
    results = caller()
    if not results:
        raise TypeError("its 'sklearnloss_components' returned nothing; it must return a list")
    components: dict[tuple[str, str], Component] = {}
    for obj in results[0]:
        component = getattr(obj, "component", None)
        if not isinstance(component, Component):
            raise TypeError(f"{obj!r} is no component; mark it with a decorator such as sklearnloss.loss")
        for key in (component.name, *component.aliases):
            if (component.kind, key) in components:
                raise ValueError(f"it has two of the name {component.kind} {key!r}")
            components[component.kind, key] = component.owned_by(name, ver)
    unique = tuple(dict.fromkeys(components.values()))
    return Plugin(name, distribution, ver, unique)
