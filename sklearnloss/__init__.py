"""Losses as first-class, pluggable hyperparameters of scikit-learn estimators."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sklearnloss.component import (
        Component,
        calibrator,
        callback,
        diagnostic,
        distance,
        estimator,
        loss,
        metric,
        miner,
        mixup,
        mode,
        optimizer,
        reduction,
        sampler,
        selection,
        strategy,
        view,
    )  # fmt: skip
    from sklearnloss.estimators.classifier import LossClassifier
    from sklearnloss.estimators.loading import load
    from sklearnloss.facts import fact
    from sklearnloss.hookspecs import hookimpl
    from sklearnloss.metrics.reliability import ReliabilityDisplay
    from sklearnloss.registry import components, register
    from sklearnloss.spec import (
        Calibrator,
        Callback,
        Diagnostic,
        Distance,
        Loss,
        Metric,
        Miner,
        Mixup,
        Mode,
        Optimizer,
        Reduction,
        Sampler,
        Selection,
        Strategy,
        Sum,
        View,
    )  # fmt: skip

_WHERE = {
    "sklearnloss.component": (
        "Component calibrator callback diagnostic distance estimator loss metric miner mixup mode optimizer reduction "
        "sampler selection strategy view"
    ),
    "sklearnloss.estimators.classifier": "LossClassifier",
    "sklearnloss.estimators.loading": "load",
    "sklearnloss.facts": "fact",
    "sklearnloss.hookspecs": "hookimpl",
    "sklearnloss.metrics.reliability": "ReliabilityDisplay",
    "sklearnloss.registry": "components register",
    "sklearnloss.spec": (
        "Calibrator Callback Diagnostic Distance Loss Metric Miner Mixup Mode Optimizer Reduction Sampler Selection "
        "Strategy Sum View"
    ),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names.split()}

__version__ = "0.1.0"
__all__ = [
    "Calibrator", "Callback", "Component", "Diagnostic", "Distance", "Loss", "LossClassifier", "Metric", "Miner",
    "Mixup", "Mode", "Optimizer", "Reduction", "ReliabilityDisplay", "Sampler", "Selection", "Strategy", "Sum",
    "View", "__version__", "calibrator", "callback", "components", "diagnostic", "distance", "estimator", "fact",
    "hookimpl", "load", "loss", "metric", "miner", "mixup", "mode", "optimizer", "reduction", "register", "sampler",
    "selection", "strategy", "view",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'sklearnloss' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
