"""Reading back what ``save`` wrote."""

import importlib
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from sklearnloss import registry
from sklearnloss.estimators._base import NetEstimator
from sklearnloss.estimators._saving import restored
from sklearnloss.exceptions import LoadError, PluginWarning, SklearnLossError, UnknownNameError, did_you_mean
from sklearnloss.training.archive import read_archive

__all__ = ["load"]


def load(
    path: str | os.PathLike[str],
    *,
    module: Any = None,
    components: Mapping[str, Any] | None = None,
    device: str | None = None,
) -> Any:
    """Read an estimator that ``save`` wrote; what it predicts, and how it would train on, is the same to the bit.

    No code is stored, and none is run that the file could bring along: nothing is unpickled, and only classes of this
    package, of installed plugins and of what you hand back are made.

    Parameters
    ----------
    path : str or path
        The file.
    module : nn.Module, class or factory, default=None
        The ``module`` the estimator was made with, if it was one of yours.
    components : mapping of str to object, default=None
        What else was code of yours, by the name of its parameter as in ``set_params``: ``{"loss": my_loss}``, or
        ``{"loss__my_loss": my_loss}`` for a term of a sum. If something is missing, the error lists it by name.
    device : str, default=None
        Instead of the device that was saved; ``"auto"`` was saved as such, so it is what there is now.

    Returns
    -------
    estimator
        Of the class that was saved, fitted.

    Raises
    ------
    LoadError
        If the file is damaged or foreign, needs a plugin that is not there, or something was handed back that is
        missing, not needed or not what was saved. Each message says which.
    OSError
        If there is no such file, or it may not be read.

    Warns
    -----
    PluginWarning
        If a plugin has another version than the one the file was saved with.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn.datasets import load_iris
    >>> from sklearnloss import LossClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LossClassifier("ldr", max_epochs=5, random_state=0).fit(X, y)
    >>> place = pathlib.Path(tempfile.mkdtemp()) / "iris.safetensors"
    >>> model.save(place)
    >>> np.array_equal(load(place).predict_proba(X), model.predict_proba(X))
    True
    """
    content, tensors = read_archive(path)
    name, needed = repr(str(path)), content.get("given", {})
    given = {**(components or {}), **({} if module is None else {"module": module})}
    try:
        if content["kind"] != "estimator":
            raise LoadError("it is the checkpoint of a fit, which fit with the same parameters and data goes on from")
        cls = _class(content["class"])
        names = dict(_names(content["components"]))
        _check_given(needed, given, path)
        return restored(cls, content, tensors, given=given, names=names, device=device)
    except Warning:  # that a filter of the user's has made an error
        raise
    except SklearnLossError as error:
        raise LoadError(f"{name}: {error}") from error
    except Exception as error:  # content that has a right checksum and was written by nobody
        raise LoadError(f"{name} cannot be restored: {type(error).__name__}: {error}") from error


def _class(place: str) -> type[NetEstimator]:
    """Return the estimator's class: one of this package, else one that is imported already."""
    module = place.partition(":")[0]
    if re.fullmatch(r"sklearnloss\.estimators\.\w+", module):
        importlib.import_module(module)
    registry.plugins()  # theirs are imported by this
    known = {f"{cls.__module__}:{cls.__qualname__}": cls for cls in _subclasses(NetEstimator)}
    if place not in known:
        module, _, name = place.partition(":")
        raise LoadError(f"it holds {name} of {module}, which is not imported; import it first")
    return known[place]


def _subclasses(cls: type[NetEstimator]) -> Iterator[type[NetEstimator]]:
    yield cls
    for inner in cls.__subclasses__():
        yield from _subclasses(inner)


def _names(records: list[Mapping[str, Any]]) -> Iterator[tuple[tuple[str, str], str]]:
    """See that every component is there; yield the names that have to be written in full now."""
    for record in records:
        kind, name, plugin = record["kind"], record["name"], record["plugin"]
        if plugin != "local":
            _check_plugin(record)
        full = f"{plugin}:{name}"
        try:
            component = registry.lookup(kind, full)
        except UnknownNameError as error:
            raise LoadError(_gone(record, f"{kind} {name!r}")) from error
        known = {parameter.name for parameter in component.parameters}
        if lost := sorted(set(record["params"]) - known):
            raise LoadError(_gone(record, f"parameter {lost[0]!r} of {kind} {name!r}"))
        if plugin not in ("core", "local") and component.version != record["version"]:
            warnings.warn(
                f"the file was saved with {_titled(record)}, and here is version {component.version}; results may "
                "differ",
                PluginWarning,
                stacklevel=3,
            )
        given = record["given"]
        if given is not None and given != full and not _means(kind, given, component):
            yield (kind, given), full


def _means(kind: str, name: str, component: Any) -> bool:
    try:
        return registry.lookup(kind, name) is component
    except UnknownNameError:
        return False


def _titled(record: Mapping[str, Any]) -> str:
    return f"plugin {record['plugin']!r} ({record['distribution']} {record['version']})"


def _check_plugin(record: Mapping[str, Any]) -> None:
    found = next((p for p in registry.plugins() if p.name == record["plugin"]), None)
    if found is None:
        raise LoadError(
            f"this file needs {_titled(record)}, which is not installed: pip install {record['distribution']}"
        )
    if found.reason:
        raise LoadError(f"this file needs {_titled(record)}, which was not loaded: {found.reason}")


def _gone(record: Mapping[str, Any], what: str) -> str:
    if record["plugin"] == "local":
        return f"{what} was known to one process by sklearnloss.register; register it before loading"
    distribution, version = record["distribution"], record["version"]
    here = next(p for p in registry.plugins() if p.name == record["plugin"])
    return (
        f"{distribution} {here.version} has no {what}; the file was saved with {distribution} {version}: "
        f"pip install {distribution}=={version}"
    )


def _check_given(needed: Mapping[str, str], given: Mapping[str, Any], path: Any) -> None:
    """See that what was handed back is what the file left out."""
    for key in given:
        if key not in needed:
            what = "module=" if key == "module" else f"components[{key!r}]"
            needs = f"it needs {', '.join(map(repr, sorted(needed)))}" if needed else "it needs nothing"
            raise LoadError(f"{what} was given, but the file does not need it{did_you_mean(key, needed)}; {needs}")
    if missing := needed.keys() - given.keys():
        parts = [f"module=<{needed['module']}>"] if "module" in needed else []
        others = [f"{key!r}: <{about}>" for key, about in sorted(needed.items()) if key != "module"]
        parts += [f"components={{{', '.join(others)}}}"] if others else []
        raise LoadError(
            f"code of yours is not stored, and {', '.join(map(repr, sorted(missing)))} must be handed back: "
            f"sklearnloss.load({str(path)!r}, {', '.join(parts)})"
        )
