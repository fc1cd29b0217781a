"""Losses as first-class, pluggable hyperparameters of scikit-learn estimators."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sklearnloss.active.learner import ActiveLearner
    from sklearnloss.active.simulate import Simulation, simulate
    from sklearnloss.active.stopping import Budget, ConfidentPool, KappaAverage, StablePredictions
    from sklearnloss.bags.making import make_bags, privatize
    from sklearnloss.bags.scorers import BagScorer, bag_interval_scorer, bag_kl_scorer, bag_l1_scorer, bag_mse_scorer
    from sklearnloss.bags.splitters import BagKFold, BagShuffleSplit, StratifiedBagKFold
    from sklearnloss.bags.targets import bag_targets, rows_from_bags
    from sklearnloss.comparison.compare import compare
    from sklearnloss.comparison.preprocessing import make_preprocessor
    from sklearnloss.comparison.ranking import Ranking, rank
    from sklearnloss.comparison.strategies import compare_strategies
    from sklearnloss.comparison.strategy_result import StrategyComparison
    from sklearnloss.comparison.suggestions import suggest_losses
    from sklearnloss.comparison.tables import Table, load_table
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
    from sklearnloss.estimators.aggregate import AggregateRegressor
    from sklearnloss.estimators.class_prior import ClassPriorEstimator
    from sklearnloss.estimators.classifier import LossClassifier
    from sklearnloss.estimators.embedder import MetricEmbedder
    from sklearnloss.estimators.embedding_scorer import EmbeddingScorer, embedding_scorer
    from sklearnloss.estimators.few_shot import FewShotEvaluator, FewShotResult
    from sklearnloss.estimators.forecast_scorer import ForecastScorer, forecast_scorer
    from sklearnloss.estimators.frechet import FrechetClassifier
    from sklearnloss.estimators.hmds import HMDS
    from sklearnloss.estimators.latent_label_shift import LatentLabelShiftClassifier
    from sklearnloss.estimators.llp import LLPClassifier
    from sklearnloss.estimators.loading import load
    from sklearnloss.estimators.presto import PrestoClassifier
    from sklearnloss.estimators.prototype import PrototypeClassifier
    from sklearnloss.estimators.quantile import QuantileAggregator
    from sklearnloss.estimators.regressor import LossRegressor
    from sklearnloss.estimators.threshold_features import ThresholdFeatures
    from sklearnloss.facts import fact
    from sklearnloss.hookspecs import hookimpl
    from sklearnloss.metrics.embedding_map import EmbeddingMapDisplay
    from sklearnloss.metrics.fan_chart import FanChartDisplay
    from sklearnloss.metrics.pit_histogram import PITDisplay
    from sklearnloss.metrics.quantile_reliability import QuantileReliabilityDisplay
    from sklearnloss.metrics.reliability import ReliabilityDisplay
    from sklearnloss.metrics.retrieval import RetrievalDisplay
    from sklearnloss.metrics.similarity import SimilarityDisplay
    from sklearnloss.metrics.verification import VerificationDisplay, verification_curve
    from sklearnloss.noise.annotators import AnnotatorResult, aggregate_annotators
    from sklearnloss.noise.cleaned import Cleaned
    from sklearnloss.noise.detector import LabelNoiseDetector
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
    "sklearnloss.active.learner": "ActiveLearner",
    "sklearnloss.active.simulate": "Simulation simulate",
    "sklearnloss.active.stopping": "Budget ConfidentPool KappaAverage StablePredictions",
    "sklearnloss.bags.making": "make_bags privatize",
    "sklearnloss.bags.scorers": "BagScorer bag_interval_scorer bag_kl_scorer bag_l1_scorer bag_mse_scorer",
    "sklearnloss.bags.splitters": "BagKFold BagShuffleSplit StratifiedBagKFold",
    "sklearnloss.bags.targets": "bag_targets rows_from_bags",
    "sklearnloss.comparison.compare": "compare",
    "sklearnloss.comparison.preprocessing": "make_preprocessor",
    "sklearnloss.comparison.suggestions": "suggest_losses",
    "sklearnloss.component": (
        "Component calibrator callback diagnostic distance estimator loss metric miner mixup mode optimizer reduction "
        "sampler selection strategy view"
    ),
    "sklearnloss.comparison.ranking": "Ranking rank",
    "sklearnloss.comparison.strategies": "compare_strategies",
    "sklearnloss.comparison.strategy_result": "StrategyComparison",
    "sklearnloss.comparison.tables": "Table load_table",
    "sklearnloss.estimators.aggregate": "AggregateRegressor",
    "sklearnloss.estimators.class_prior": "ClassPriorEstimator",
    "sklearnloss.estimators.classifier": "LossClassifier",
    "sklearnloss.estimators.embedder": "MetricEmbedder",
    "sklearnloss.estimators.frechet": "FrechetClassifier",
    "sklearnloss.estimators.hmds": "HMDS",
    "sklearnloss.estimators.embedding_scorer": "EmbeddingScorer embedding_scorer",
    "sklearnloss.estimators.few_shot": "FewShotEvaluator FewShotResult",
    "sklearnloss.estimators.forecast_scorer": "ForecastScorer forecast_scorer",
    "sklearnloss.estimators.latent_label_shift": "LatentLabelShiftClassifier",
    "sklearnloss.estimators.llp": "LLPClassifier",
    "sklearnloss.estimators.loading": "load",
    "sklearnloss.estimators.presto": "PrestoClassifier",
    "sklearnloss.estimators.prototype": "PrototypeClassifier",
    "sklearnloss.estimators.quantile": "QuantileAggregator",
    "sklearnloss.estimators.regressor": "LossRegressor",
    "sklearnloss.estimators.threshold_features": "ThresholdFeatures",
    "sklearnloss.facts": "fact",
    "sklearnloss.hookspecs": "hookimpl",
    "sklearnloss.metrics.embedding_map": "EmbeddingMapDisplay",
    "sklearnloss.metrics.fan_chart": "FanChartDisplay",
    "sklearnloss.metrics.pit_histogram": "PITDisplay",
    "sklearnloss.metrics.quantile_reliability": "QuantileReliabilityDisplay",
    "sklearnloss.metrics.reliability": "ReliabilityDisplay",
    "sklearnloss.metrics.retrieval": "RetrievalDisplay",
    "sklearnloss.metrics.similarity": "SimilarityDisplay",
    "sklearnloss.metrics.verification": "VerificationDisplay verification_curve",
    "sklearnloss.noise.annotators": "AnnotatorResult aggregate_annotators",
    "sklearnloss.noise.cleaned": "Cleaned",
    "sklearnloss.noise.detector": "LabelNoiseDetector",
    "sklearnloss.registry": "components register",
    "sklearnloss.spec": (
        "Calibrator Callback Diagnostic Distance Loss Metric Miner Mixup Mode Optimizer Reduction Sampler Selection "
        "Strategy Sum View"
    ),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names.split()}

__version__ = "0.1.0"
__all__ = [
    "ActiveLearner", "AggregateRegressor", "AnnotatorResult", "BagKFold", "BagScorer", "BagShuffleSplit", "Budget",
    "Calibrator", "Callback", "ClassPriorEstimator", "Cleaned", "Component", "ConfidentPool", "Diagnostic", "Distance",
    "EmbeddingMapDisplay", "EmbeddingScorer", "FanChartDisplay", "FewShotEvaluator", "FewShotResult", "ForecastScorer",
    "FrechetClassifier", "HMDS", "KappaAverage", "LLPClassifier", "LabelNoiseDetector", "LatentLabelShiftClassifier",
    "Loss", "LossClassifier", "LossRegressor", "Metric", "MetricEmbedder", "Miner", "Mixup", "Mode", "Optimizer",
    "PITDisplay", "PrestoClassifier", "PrototypeClassifier", "QuantileAggregator", "QuantileReliabilityDisplay",
    "Ranking", "Reduction", "ReliabilityDisplay", "RetrievalDisplay", "Sampler", "Selection", "SimilarityDisplay",
    "Simulation", "StablePredictions", "Strategy", "StrategyComparison", "StratifiedBagKFold", "Sum", "Table",
    "ThresholdFeatures", "VerificationDisplay", "View", "__version__", "aggregate_annotators", "bag_interval_scorer",
    "bag_kl_scorer", "bag_l1_scorer", "bag_mse_scorer", "bag_targets", "calibrator", "callback", "compare",
    "compare_strategies", "components", "diagnostic", "distance", "embedding_scorer", "estimator", "fact",
    "forecast_scorer", "hookimpl", "load", "load_table", "loss", "make_bags", "make_preprocessor", "metric", "miner",
    "mixup", "mode", "optimizer", "privatize", "rank", "reduction", "register", "rows_from_bags", "sampler",
    "selection", "simulate", "strategy", "suggest_losses", "verification_curve", "view",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'sklearnloss' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
