"""The tree of errors and warnings.

::

    SklearnLossError
    ├── ComponentError        (TypeError)   a declaration that cannot work
    ├── UnknownNameError      (ValueError)  no component of that name
    │   └── AmbiguousNameError              two plugins carry it
    ├── ParameterError        (ValueError)  a hyperparameter unknown or out of range
    ├── FactError             (TypeError)   a keyword of ``fit`` that nothing can take
    │   └── MissingFactError  (ValueError)  a component needs a fact nobody supplied
    ├── TaskError             (ValueError)  a component of another task or role
    ├── ModuleError           (ValueError)  a user's module that does not fit
    ├── DataError             (ValueError)  a table or a target that cannot be used
    ├── SaveError             (ValueError)  an estimator that could not be restored from a file
    ├── LoadError             (ValueError)  a saved file that cannot be read back
    ├── OutputError           (OSError)     a file that could not be written
    └── TrainingError         (RuntimeError)
        └── NonFiniteLossError              the loss left the numbers; the last good weights were kept
    ComparisonInterrupted     (KeyboardInterrupt)  a comparison that was broken off; it holds what was finished
    SklearnLossWarning        (UserWarning)
    ├── PluginWarning                       a plugin that was not loaded, or is another version
    ├── CheckpointWarning                   a checkpoint that could not be read or written
    └── DataWarning                         data that will not do what the user expects

Every message says who, what is wrong, what was given, what is allowed and what to do.
"""

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = [
    "AmbiguousNameError",
    "CheckpointWarning",
    "ComparisonInterrupted",
    "ComponentError",
    "DataError",
    "DataWarning",
    "FactError",
    "LoadError",
    "MissingFactError",
    "ModuleError",
    "NonFiniteLossError",
    "OutputError",
    "ParameterError",
    "PluginWarning",
    "SaveError",
    "SklearnLossError",
    "SklearnLossWarning",
    "TaskError",
    "TrainingError",
    "UnknownNameError",
    "did_you_mean",
    "with_article",
]


class SklearnLossError(Exception):
    """Base of every error raised on purpose."""


class ComponentError(SklearnLossError, TypeError):
    """The declaration of a component cannot work."""


class UnknownNameError(SklearnLossError, ValueError):
    """No component of that kind has this name."""


class AmbiguousNameError(UnknownNameError):
    """Several plugins carry a component of this name."""


class ParameterError(SklearnLossError, ValueError):
    """A hyperparameter is unknown or out of its range."""


class FactError(SklearnLossError, TypeError):
    """A keyword of ``fit`` is no fact that a component could take."""


class MissingFactError(FactError, ValueError):
    """A component needs a fact that nobody supplied."""


class TaskError(SklearnLossError, ValueError):
    """A component does not fit the task, the role or the estimator."""


class ModuleError(SklearnLossError, ValueError):
    """A user's module does not fit the estimator."""


class DataError(SklearnLossError, ValueError):
    """A table, or its target, cannot be used."""


class SaveError(SklearnLossError, ValueError):
    """An estimator holds something that could not be restored from a file."""


class LoadError(SklearnLossError, ValueError):
    """A saved file is damaged, foreign, or needs something that is not there."""


class OutputError(SklearnLossError, OSError):
    """A file could not be written; what stood there before is unchanged."""


class TrainingError(SklearnLossError, RuntimeError):
    """Training could not go on."""


class NonFiniteLossError(TrainingError, FloatingPointError):
    """A loss or its gradient became infinite or NaN; the last good weights were kept."""


class ComparisonInterrupted(KeyboardInterrupt):
    """A comparison was broken off.

    Attributes
    ----------
    result : Comparison
        What was finished until then.
    folder : path or None
        Where the finished fits are kept, if they are.
    """

    def __init__(self, message: str, result: Any, folder: Any = None) -> None:
        super().__init__(message)
        self.result, self.folder = result, folder


class SklearnLossWarning(UserWarning):
    """Base of every warning."""


class PluginWarning(SklearnLossWarning):
    """A plugin was not loaded, or is another version than the one a file was saved with; everything else works."""


class CheckpointWarning(SklearnLossWarning):
    """A checkpoint could not be read or written; training goes on."""


class DataWarning(SklearnLossWarning):
    """The data will not do what the user probably expects."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known name, or nothing.

    Examples
    --------
    >>> did_you_mean("lrd", ["ldr", "gce"])
    "; did you mean 'ldr'?"
    >>> did_you_mean("zzz", ["ldr"])
    ''
    """
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def with_article(noun: str) -> str:
    """Return ``a loss`` or ``an optimizer``.

    Examples
    --------
    >>> with_article("loss"), with_article("optimizer")
    ('a loss', 'an optimizer')
    """
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
