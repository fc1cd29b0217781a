"""Do the losses, mixups, samplers and reductions of classification do what they promise? On real rows, all of them.

python benchmarks/classification.py --data DIR [--out classification.jsonl] [--report benchmarks/classification.md]
    [--only PART ...]

binary      few positives: losses of the ROC area, of F1 and of overlap, beside `bce` and gradient boosting
multilabel  several labels a row, all known, two fifths of the positives missing, or one positive known a row
mixups      200 rows of digits
tail        a long tail: samplers, reductions, and losses and mixups that weigh classes
noise       every loss for classes, on clean rows, wrong labels and a long tail

One thread, float32, the same network, optimizer and number of steps for every method; nothing is tuned. Every fit is
written to the file as it ends, a failed one with its error, and a second run goes on from there.
"""

import argparse
import json
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    precision_recall_curve,
    recall_score,
    roc_auc_score,
)
from sklearn.model_selection import train_test_split

import sklearnloss
from sklearnloss import Loss, LossClassifier, Mixup, Sampler, make_preprocessor
from sklearnloss.component import Component
from sklearnloss.demo import flip
from sklearnloss.facts import row_facts
from sklearnloss.metrics.ece import ece
from sklearnloss.metrics.pass_at_n import pass_at_n

FILES = {  # file, and the column of classes
    "abalone": ("cls_abalone", "y"),
    "letter": ("cls_letter", "y"),
    "segment": ("cls_weka_segment_challenge", "class"),
    "mammography": ("cls_mammography", "y"),
    "oil spill": ("cls_oil_spill", "y"),
    "credit": ("cls_credit_default", "Y"),
    "bank": ("cls_bank_additional", "y"),
}
RARE = 50  # rows that a class of abalone needs
MOST_ROWS, MOST_TEST = 8000, 4000
CLASSES = ("digits", "letter", "abalone", "segment")
RANKED = ("mammography", "oil spill", "credit", "bank")
SEVERAL = ("yeast", "scene", "emotions")
BATCH = {"letter": 512}
EPOCHS = {"oil spill": 250, "bank": 60, "credit": 10, "emotions": 100, "yeast": 50, "scene": 50}  # of the others, 30
RATIO = 50  # of the most to the least frequent class

Job = tuple[str, str, str, str, int]  # part, data, setting, method, seed
Scores = dict[str, Any]
Rows = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # X, X_test, y, y_test
Methods = dict[str, dict[str, Any]]  # what each gives to LossClassifier


# -- data and model ---------------------------------------------------------------------------------------------------


@cache
def load(name: str, folder: Path) -> tuple[Any, np.ndarray]:
    """Return columns and classes 0..k-1."""
    if name == "digits":
        return load_digits(return_X_y=True)
    file, target = FILES[name]
    table = pd.read_csv(folder / f"{file}.csv.gz").drop(columns="ID", errors="ignore")
    y = table.pop(target).to_numpy()
    classes, counts = np.unique(y, return_counts=True)
    kept = np.isin(y, classes[counts >= RARE]) if len(classes) > 2 else np.full(len(y), True)
    return table[kept], np.unique(y[kept], return_inverse=True)[1]


@cache
def split(name: str, seed: int, folder: Path, test: float) -> Rows:
    """Return rows to fit and to judge by; columns are encoded and scaled as the first have them."""
    X, y = load(name, folder)
    rows, others = train_test_split(np.arange(len(y)), test_size=test, stratify=y, random_state=seed)
    if name == "letter":
        rows, others = rows[:MOST_ROWS], others[:MOST_TEST]
    if name == "digits":
        return X[rows].astype(np.float32), X[others].astype(np.float32), y[rows], y[others]
    prepare = make_preprocessor(dtype="float32").fit(X.iloc[rows])
    columns = [np.asarray(prepare.transform(X.iloc[r]), dtype=np.float32) for r in (rows, others)]
    return columns[0], columns[1], y[rows], y[others]


def fitted(method: dict[str, Any], X: np.ndarray, y: np.ndarray, facts: Any = None, **shared: Any) -> LossClassifier:
    arguments = {"lr": 2e-3, "batch_size": 128} | shared | {k: v for k, v in method.items() if k != "first"}
    if "first" not in method:
        return LossClassifier(**arguments).fit(X, y, **(facts or {}))
    first = LossClassifier(**{"lr": 2e-3} | shared | {"loss": method["first"], "max_epochs": 5, "warm_start": True})
    return first.fit(X, y).set_params(**arguments | {"max_epochs": arguments["max_epochs"] - 5}).fit(X, y)


def judged(model: Any, X: np.ndarray, y: np.ndarray) -> Scores:
    """Return scores of a classifier of several classes."""
    found = model.predict(X)
    scores = {
        "accuracy": accuracy_score(y, found),
        "balanced accuracy": balanced_accuracy_score(y, found),
        "worst recall": recall_score(y, found, average=None, zero_division=0.0).min(),
        "distance": np.abs(found - y).mean(),  # of classes in an order
    }
    if hasattr(model, "predict_proba"):
        proba = model.predict_proba(X).astype(np.float64)
        proba /= proba.sum(axis=1, keepdims=True)
        nll = np.sort(-np.log(np.maximum(proba[np.arange(len(y)), y], 1e-12)))
        scores |= {
            "ECE": ece(y, proba),
            "pass@16": pass_at_n(y, proba, n_tries=16),
            "confidence": proba.max(axis=1).mean(),
            "NLL": nll.mean(),
            "NLL, worst half": nll[len(nll) // 2 :].mean(),
        }
    return scores


# -- the parts: one fit each ------------------------------------------------------------------------------------------

PESG = {"optimizer": "pesg", "lr": 0.1, "weight_decay": 1e-5, "lr_schedule": "step"}  # as its authors set it
BINARY: Methods = {name: {"loss": name} for name in ("bce", "focal", "cross_entropy", "aucm", "mann_whitney", "pauc")}
BINARY |= {name: {"loss": name} for name in ("ap", "vcl", "soft_f1", "anyloss", "dice", "tversky", "dsc", "ensloss")}
BINARY |= {
    f"mann_whitney, {s}": {"loss": Loss("mann_whitney", surrogate=s)} for s in ("squared_hinge", "hinge", "squared")
}
BINARY |= {
    "normalized_logistic": {"loss": "normalized_logistic"},
    "bce, balanced": {"loss": "bce", "class_weight": "balanced"},
    "bce, dual": {"loss": "bce", "sampler": "dual"},
    "aucm, min_max": {"loss": Loss("aucm", mode="min_max")},
    "aucm, pesg": {"loss": Loss("aucm", mode="min_max"), **PESG},
    "aucm, pesg after bce": {"first": "bce", "loss": Loss("aucm", mode="min_max"), **PESG},
    "aucm after bce": {"first": "bce", "loss": "aucm"},
    "pauc, fraction=.1": {"loss": Loss("pauc", fraction=0.1)},
    "anyloss, balanced_accuracy": {"loss": Loss("anyloss", metric="balanced_accuracy")},
    "gradient boosting": {},
}


def of_binary(method: str, data: str, setting: str, seed: int, folder: Path) -> Scores:
    X, X_test, y, y_test = split(data, seed, folder, 0.5)
    if method == "gradient boosting":
        model: Any = HistGradientBoostingClassifier(random_state=seed).fit(X, y)
    else:
        model = fitted(BINARY[method], X, y, max_epochs=EPOCHS.get(data, 30), random_state=seed)
    ranked = model.decision_function(X_test)
    precision, recall, _ = precision_recall_curve(y_test, ranked)
    found = model.predict(X_test)
    scores = {
        "AUROC": roc_auc_score(y_test, ranked),
        "AP": average_precision_score(y_test, ranked),
        "partial AUC": roc_auc_score(y_test, ranked, max_fpr=0.1),
        "best F1": (2 * precision * recall / np.maximum(precision + recall, 1e-12)).max(),
        "F1": f1_score(y_test, found, zero_division=0.0),
        "balanced accuracy": balanced_accuracy_score(y_test, found),
        "accuracy": accuracy_score(y_test, found),
    }
    if hasattr(model, "predict_proba"):
        scores["ECE"] = ece(y_test, model.predict_proba(X_test)[:, 1].clip(0, 1))
    return scores


def of_task(task: str) -> list[Component]:
    """Return the losses of a task that ask for nothing that the user must give."""
    losses = [c for c in sklearnloss.components("loss") if c.plugin == "core" and c.task == task]
    return [c for c in losses if not row_facts() & set(c.needs)]


@cache
def multilabel() -> Methods:
    methods: Methods = {"bce": {"loss": "bce"}, "focal": {"loss": Loss("asl", gamma_neg=2.0, gamma_pos=2.0, shift=0.0)}}
    methods |= {c.name: {"loss": c.name} for c in of_task("multilabel")}
    return methods | {"comic, threshold=.95": {"loss": Loss("comic", threshold=0.95)}}


def of_multilabel(method: str, data: str, setting: str, seed: int, folder: Path) -> Scores:
    with np.load(folder / f"ml_{data}.npz") as file:
        X, Y = file["X"].astype(np.float32), file["Y"].astype(int)
    X, X_test, Y, Y_test = train_test_split(X, Y, test_size=1 / 3, random_state=seed)
    luck = np.random.default_rng(seed).uniform(size=Y.shape) * Y
    if setting == "40 % missing":
        Y = (luck > 0.4).astype(int)
    elif setting == "one known":
        Y = ((luck == luck.max(axis=1, keepdims=True)) & (luck > 0)).astype(int)
    model = fitted(multilabel()[method], X, Y, max_epochs=EPOCHS[data], random_state=seed)
    ranked, found = model.decision_function(X_test), model.predict(X_test)
    top = np.take_along_axis(Y_test, np.argsort(-ranked, axis=1, kind="stable"), axis=1)
    return {
        "macro AUC": roc_auc_score(Y_test, ranked, average="macro"),
        "micro AUC": roc_auc_score(Y_test, ranked, average="micro"),
        "mAP": average_precision_score(Y_test, ranked, average="macro"),
        "P@1": top[:, 0].mean(),
        "P@5": top[:, :5].mean(),
        "macro F1": f1_score(Y_test, found, average="macro", zero_division=0.0),
        "micro F1": f1_score(Y_test, found, average="micro", zero_division=0.0),
    }


MIXUPS = ("mixup", "cutmix", "selective_mixup", "rebalanced_mix", "manifold_mixup", "sumix")  # those that there are


@cache
def mixups() -> Methods:
    known = {c.name for c in sklearnloss.components("mixup")}
    return {"none": {}} | {name: {"mixup": name} for name in MIXUPS if name in known}


def of_mixups(method: str, data: str, setting: str, seed: int, folder: Path) -> Scores:
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X.astype(np.float32), y, train_size=200, stratify=y, random_state=seed)
    return judged(fitted(mixups()[method], X, y, max_epochs=100, random_state=seed), X_test, y_test)


def damaged(X: np.ndarray, y: np.ndarray, setting: str, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return rows to fit with wrong labels or fewer rows, and how many times fewer they are."""
    rng, k = np.random.default_rng(seed), int(y.max()) + 1
    if setting in SHARES:
        return X, flip(y, SHARES[setting], rng), 1.0
    if setting == "40 % pairs":
        return X, np.where(rng.uniform(size=len(y)) < 0.4, (y + 1) % k, y), 1.0
    if setting != "long tail":
        return X, y, 1.0
    counts = np.bincount(y)
    order = np.argsort(-counts * rng.uniform(0.8, 1.2, size=k))  # the frequent ones first, about equal ones by chance
    wanted = np.maximum(2, np.round(counts.max() * RATIO ** (-np.arange(k) / (k - 1)))).astype(int)
    kept = np.concatenate([rng.permutation(np.flatnonzero(y == c))[:n] for c, n in zip(order, wanted, strict=True)])
    return X[kept], y[kept], len(y) / len(kept)


SHARES = {"20 % flipped": 0.2, "40 % flipped": 0.4}
TAIL: Methods = {name: {"sampler": name} for name in ("shuffle", "stratified", "per_class", "class_balanced")}
TAIL |= {name: {"sampler": name} for name in ("temperature_sampler", "cooldown")}
TAIL |= {name: {"reduction": name} for name in ("cvar", "top_k", "kl_dro", "dataset_equity")}
TAIL |= {name: {"loss": name} for name in ("logit_adjusted", "ldam", "action_aware")}
TAIL |= {name: {"mixup": name} for name in ("mixup", "selective_mixup", "rebalanced_mix")}
TAIL |= {
    "balanced weights": {"class_weight": "balanced"},
    "class_balanced loss": {"loss": "class_balanced"},
    "action_aware, start=0": {"loss": Loss("action_aware", start=0)},
    "action_aware + rebalanced_mix": {"loss": "action_aware", "mixup": "rebalanced_mix"},
    "selective_mixup, resample": {"mixup": Mixup("selective_mixup", mode="resample")},
}


def of_tail(method: str, data: str, setting: str, seed: int, folder: Path) -> Scores:
    X, X_test, y, y_test = split(data, seed, folder, 0.25)
    X, y, fewer = damaged(X, y, "long tail", seed)
    epochs = round(30 * fewer)
    arguments = dict(TAIL[method])
    if method == "cooldown":  # until half of the epochs, as its page says
        arguments["sampler"] = Sampler("cooldown", switch=epochs // 2)
    facts = {"group": y} if method == "dataset_equity" else None
    shared = {"max_epochs": epochs, "batch_size": BATCH.get(data, 128), "random_state": seed}
    return judged(fitted(arguments, X, y, facts, **shared), X_test, y_test)


ADDED = {"margin_log": 1.0, "center": 0.1, "ntl_was": 1.0, "ntl_mse": 1.0}  # to cross entropy, and the factor


@cache
def noise() -> Methods:
    alone = [c.name for c in of_task("multiclass") if c.name not in ADDED]
    methods: Methods = {name: {"loss": name} for name in sorted(alone, key=lambda n: (n != "cross_entropy", n))}
    methods |= {f"comp_sum, tau={tau}": {"loss": Loss("comp_sum", tau=tau)} for tau in (0.0, 1.7)}
    return methods | {f"+ {n}": {"loss": Loss("cross_entropy") + f * Loss(n)} for n, f in ADDED.items()}


def of_noise(method: str, data: str, setting: str, seed: int, folder: Path) -> Scores:
    X, X_test, y, y_test = split(data, seed, folder, 0.25)
    X, y, fewer = damaged(X, y, setting, seed)
    shared = {"max_epochs": round(30 * fewer), "batch_size": BATCH.get(data, 128), "random_state": seed}
    started = time.process_time()
    model = fitted(noise()[method], X, y, **shared)
    return {"seconds": time.process_time() - started} | judged(model, X_test, y_test)


# -- all fits ---------------------------------------------------------------------------------------------------------

Part = tuple[Callable[..., Scores], tuple[str, ...], tuple[str, ...], Callable[[], Methods], int]
PARTS: dict[str, Part] = {  # what does a fit, data, settings, methods, number of seeds
    "binary": (of_binary, RANKED, ("",), lambda: BINARY, 3),
    "multilabel": (of_multilabel, SEVERAL, ("", "40 % missing", "one known"), multilabel, 3),
    "mixups": (of_mixups, ("digits",), ("",), mixups, 5),
    "tail": (of_tail, ("digits", "letter"), ("",), lambda: TAIL, 3),
    "noise": (of_noise, CLASSES, ("clean", *SHARES, "40 % pairs", "long tail"), noise, 3),
}


def jobs(part: str) -> list[Job]:
    """Return each fit of a part, all of a seed before the next."""
    _, names, settings, methods, seeds = PARTS[part]
    return [
        (part, name, setting, method, seed)
        for seed in range(seeds)
        for setting in settings
        for name in names
        for method in methods()
    ]


def run(job: Job, folder: Path) -> Scores:
    """Do a fit; one that fails has its error for a score."""
    part, data, setting, method, seed = job
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            scores = PARTS[part][0](method, data, setting, seed, folder)
        except (ValueError, TypeError, RuntimeError, AttributeError, LookupError) as error:
            return {"error": f"{type(error).__name__}: {error}"}
    return {name: float(value) for name, value in scores.items()}


# -- what is expected -------------------------------------------------------------------------------------------------

TIED = 0.005  # "~" is no farther apart, ">=" no farther behind
WHERE = {  # part, setting, data
    "flipped": ("noise", "40 % flipped", CLASSES),
    "flipped digits": ("noise", "40 % flipped", ("digits",)),
    "clean": ("noise", "clean", CLASSES),
    "ages": ("noise", "clean", ("abalone",)),
    "binary": ("binary", "", RANKED),
    "rare": ("binary", "", RANKED[:2]),
    "tail": ("tail", "", ("digits", "letter")),
    "labels": ("multilabel", "", SEVERAL),
    "yeast": ("multilabel", "", SEVERAL[:1]),
    "missing": ("multilabel", "40 % missing", SEVERAL),
    "one known": ("multilabel", "one known", SEVERAL),
}
# The method it is about | where | score | what the paper lets expect
CLAIMS = """
gce | flipped | accuracy | gce > cross_entropy
comp_sum | flipped digits | accuracy | comp_sum, tau=1.7 > cross_entropy
comp_sum | flipped digits | accuracy | cross_entropy > comp_sum, tau=0.0
comp_sum | clean | accuracy | cross_entropy >= mae_proba
ldr | flipped | accuracy | ldr > cross_entropy
ldr | clean | accuracy | ldr >= cross_entropy
aldr | flipped | accuracy | aldr > cross_entropy
aldr | flipped | accuracy | aldr >= ldr
aldr | clean | accuracy | aldr >= cross_entropy
ensloss | binary | accuracy | ensloss >= bce
anyloss | binary | F1 | anyloss > bce
anyloss | binary | F1 | anyloss > bce, balanced
anyloss | binary | balanced accuracy | anyloss, balanced_accuracy > bce
anyloss | binary | balanced accuracy | anyloss, balanced_accuracy > bce, balanced
action_aware | tail | balanced accuracy | action_aware > shuffle
action_aware | tail | balanced accuracy | action_aware >= class_balanced loss
action_aware | tail | balanced accuracy | action_aware > action_aware, start=0
rebalanced_mix | tail | balanced accuracy | action_aware + rebalanced_mix > shuffle
rebalanced_mix | tail | balanced accuracy | action_aware + rebalanced_mix > action_aware
encouraging | clean | accuracy | encouraging >= cross_entropy
encouraging | clean | ECE | encouraging > cross_entropy
ntl_was | ages | distance | + ntl_was < cross_entropy
ntl_was | ages | accuracy | + ntl_was >= cross_entropy
ntl_mse | ages | distance | + ntl_mse < cross_entropy
ntl_mse | ages | accuracy | + ntl_mse >= cross_entropy
cvar | tail | NLL, worst half | cvar < shuffle
cvar | tail | NLL | cvar > shuffle
dco | flipped digits | pass@16 | dco > cross_entropy
dco | flipped digits | accuracy | dco < cross_entropy
dco | flipped digits | confidence | dco < cross_entropy
emo | clean | accuracy | emo >= cross_entropy
emo | ages | distance | emo < cross_entropy
dsc | rare | F1 | dsc > bce
dsc | rare | ECE | dsc > bce
aucm | rare | AUROC | aucm after bce > bce
aucm | binary | AUROC | aucm > bce
pesg | rare | AUROC | aucm, pesg after bce > bce
dual | rare | AUROC | bce, dual > bce
mann_whitney | binary | AUROC | mann_whitney > bce
soft_topk | yeast | P@5 | soft_topk >= bce
soft_topk | yeast | P@5 | soft_topk >= decoupled_softmax
ldam | tail | balanced accuracy | ldam > shuffle
ldam_multilabel | labels | macro F1 | ldam_multilabel > bce
ldam_multilabel | labels | micro F1 | ldam_multilabel >= bce
macro_auc_pairwise | labels | macro AUC | macro_auc_pairwise > macro_auc_univariate
macro_auc_reweighted | labels | macro AUC | macro_auc_reweighted > macro_auc_univariate
macro_auc_reweighted | labels | macro AUC | macro_auc_reweighted ~ macro_auc_pairwise
macro_auc_univariate | labels | macro AUC | macro_auc_univariate < macro_auc_reweighted
asl | missing | mAP | asl > focal
asl | missing | mAP | focal > bce
em_apl | one known | mAP | em_apl > bce
comic | missing | mAP | comic > bce
comic | missing | mAP | comic > asl
subcenter_arcface | flipped | accuracy | subcenter_arcface > arcface
temperature_sampler | tail | balanced accuracy | temperature_sampler > shuffle
cooldown | tail | balanced accuracy | cooldown > shuffle
cooldown | tail | balanced accuracy | cooldown >= temperature_sampler
selective_mixup | tail | balanced accuracy | mixup > shuffle
selective_mixup | tail | balanced accuracy | selective_mixup > mixup
selective_mixup | tail | balanced accuracy | selective_mixup ~ selective_mixup, resample
"""
ELSEWHERE = {  # why nothing here can tell
    "accuracy under attacks is not measured": "smooth_adv_comp_sum",
    "made for a thousand classes or labels and more": "z_loss decoupled_softmax",
    "nothing is promised beside another loss": "taylor_softmax spherical_softmax asl_single arcface",
    "about probabilities whose truth must be known": "presto",
    "about the learning rates that still work": "cvar_spl",
    "needs propensities": "pu_sar sar_em ipw_pu",
    "needs a finished predictor": "reject_fixed",
    "about telling pairs apart": "elastic_arcface elastic_cosface unpg",
    "about classes that are not there in training": "normalized_softmax madacos amarx",
    "about pictures of bad quality": "adaface",
    "about made-up classes and shortened embeddings": "unicom",
    "about pairs without labels": "class_disjoint_batches",
    "a score, see `dco`": "pass_at_n",
}


def verdict(where: str, score: str, claim: str, done: dict[Job, Scores]) -> str:
    """Return whether the fits bear a claim out: in the mean, and in three quarters of them."""
    part, setting, names = WHERE[where]
    method, sign, other = re.split(r" (>=|>|<|~) ", claim)
    found = [
        [done.get((part, name, setting, m, seed), {}).get(score, np.nan) for m in (method, other)]
        for name in names
        for seed in range(PARTS[part][4])
    ]
    values = np.array([pair for pair in found if not np.isnan(pair).any()])
    if not len(values):
        return f"no fits of {claim}"
    gaps = np.append(values[:, 0] - values[:, 1], values.mean(axis=0) @ (1, -1))  # the last is that of the means
    *each, mean = {">": gaps > 0, "<": gaps < 0, ">=": gaps >= -TIED, "~": abs(gaps) <= TIED}[sign]
    word = "seen" if mean and 4 * sum(each) >= 3 * len(each) else "**not seen**"
    figures = " against ".join(figure(v) for v in values.mean(axis=0))
    return f"{word}: {claim}, {score} {figures}, {sum(each)} of {len(each)}"


def verdicts(done: dict[Job, Scores]) -> list[str]:
    """Return a line for each method."""
    lines: dict[str, list[str]] = {}
    for line in CLAIMS.strip().splitlines():
        key, where, score, claim = line.split(" | ")
        lines.setdefault(key, []).append(f"({where}) {verdict(where, score, claim, done)}")
    seen = [f"- `{key}`: {'; '.join(said)}" for key, said in lines.items()]
    return seen + [f"- `{'`, `'.join(n.split())}`: not testable here, {why}" for why, n in ELSEWHERE.items()]


def figure(value: float) -> str:
    return re.sub(r"\b0\.", ".", f"{value:.3f}")


# -- report -----------------------------------------------------------------------------------------------------------

SHOWN = {  # the score of each set and of the mean, and others in the mean
    "binary": ("AUROC", "AP", "partial AUC", "best F1", "F1", "balanced accuracy", "accuracy", "ECE"),
    "multilabel": ("mAP", "macro AUC", "micro AUC", "P@1", "P@5", "macro F1", "micro F1"),
    "mixups": ("accuracy", "ECE", "NLL", "worst recall"),
    "tail": ("balanced accuracy", "accuracy", "worst recall", "ECE", "NLL", "NLL, worst half"),
    "noise": ("accuracy", "balanced accuracy", "ECE", "time"),
}


def table(part: str, setting: str, done: dict[Job, Scores]) -> list[str]:
    """Return a row for each method, the best first, and what failed."""
    _, names, _, methods, seeds = PARTS[part]
    main, *others = SHOWN[part] if part != "noise" or setting == "clean" else SHOWN[part][:2]
    found: dict[str, dict[str, np.ndarray]] = {}
    failed = []
    for method in methods():
        fits = [[done.get((part, name, setting, method, s), {}) for s in range(seeds)] for name in names]
        failed += sorted(
            {f"- {method}, {n}: {c['error']}" for n, row in zip(names, fits, strict=True) for c in row if "error" in c}
        )
        found[method] = {k: np.array([[c.get(k, np.nan) for c in row] for row in fits]) for k in (main, *others)}
    found = {m: scores for m, scores in found.items() if not np.isnan(scores[main]).all()}
    order = sorted(found, key=lambda m: (np.isnan(found[m][main]).any(), -np.nanmean(found[m][main])))
    several = list(names) if len(names) > 1 else []
    lines = [
        f"| | {' | '.join([main + ', mean', *several, *others])} |",
        "|---" * (2 + len(several) + len(others)) + "|",
    ]
    for method in order:
        values = found[method][main]
        over = np.nanmean(values[:, ~np.isnan(values).all(axis=0)], axis=0)  # of each seed
        cells = [f"{figure(np.nanmean(values))} ± {figure((over.max() - over.min()) / 2)}"]
        cells += ["" if np.isnan(row).all() else figure(np.nanmean(row)) for row in values] if several else []
        for name in others:
            whole = found[method][name]
            middle = np.nanmedian if name == "time" else np.nanmean
            cells.append(figure(middle(whole)) if not np.isnan(whole).all() else "")
        lines.append(f"| {f'`{method}`' if method.isidentifier() else method} | {' | '.join(cells)} |")
    return [*lines, "", *(["Failed:", "", *failed, ""] if failed else [])]


def report(only: list[str], done: dict[Job, Scores], commits: list[str]) -> str:
    """Return the page."""
    for job, scores in done.items():
        base = done.get((*job[:3], "cross_entropy", job[4]), {})
        if "seconds" in scores and "seconds" in base:
            scores["time"] = scores["seconds"] / base["seconds"]
    facts = {c.name for c in sklearnloss.components("loss") if c.task == "multiclass" and row_facts() & set(c.needs)}
    commit = ", ".join(commits)
    text = [HEAD.format(torch=version("torch"), sklearn=version("scikit-learn"), commit=commit)]
    for part in only:
        text += [TITLES[part].replace("{facts}", ", ".join(f"`{n}`" for n in sorted(facts)))]
        for setting in PARTS[part][2]:
            if setting or part == "multilabel":
                text += [f"### {(setting or 'all known').capitalize()}", ""]
            text += table(part, setting, done)
    if set(only) == set(PARTS):
        text += [VERDICTS, *verdicts(done)]
    return "\n".join(text).rstrip() + "\n"


HEAD = """# Losses, mixups, samplers and reductions of classification

Written by `python benchmarks/classification.py --data DIR --report benchmarks/classification.md` (torch {torch},
scikit-learn {sklearn}; commit {commit}), an hour and a half. Seeds 0 to 2, to 4 for mixups; means, after ±
half the range of the seeds. One thread, float32, perceptron d-100 (ReLU), Adam, batches of 128 (letter: 512). Each
method has its default parameters unless they are named, and the sampler that its loss wishes for. Nothing is tuned but
the rate: 0.002 did better than 0.001 for cross entropy on rows of seed 0 to judge by, and is that of all. A mean is
that of all sets, each counting the same. Fits that failed are named below their table.
"""
TITLES = {
    "binary": """## Few positives

Half of the rows to fit, half to judge by, stratified; 1,000 to 1,500 steps. Partial AUC: false positive rates up to .1,
standardized by scikit-learn. Best F1 is that of the best threshold on the rows to judge by, F1 that of `predict`: of
losses of the order alone, whose scores have no level, it says nothing. Not here: losses for positive and unlabeled
rows, and those with facts that the user must give. "After bce": the first five epochs with `bce`. `pesg` has its
authors' rate of 0.1 and schedule; gradient boosting is scikit-learn's, as it comes.

No loss leads on all four sets. `aucm` with `pesg` is ahead of `bce` in the ROC area on oil spill (.931 against .882)
and bank (.922 against .889), in 6 of 6 fits, and behind on credit in 3 of 3 and on mammography in 2; with Adam the
lead is small. Gradient boosting has the best mean and the best credit. Losses of F1 and overlap (`anyloss`, `soft_f1`,
`dice`, `tversky`) have a higher F1 than `bce` in 11 of 12 fits, than `bce` with balanced weights in 8 or 9, and a
greater ROC area than `bce` in 4 or 5.
""",
    "multilabel": """## Several labels

A third of the rows to judge by, with all their labels; 50 epochs, emotions 100. Scores are means over labels, but for
micro AUC and micro F1; P@5 of six labels is nearly the same for all, and `soft_topk` asks for five of them. "Focal" is
`asl` with both powers 2 and no shift.

With all labels known only `macro_auc_pairwise` is ahead of `bce` in mAP by more than its spread, in 7 of 9 fits. With
missing positives `large_loss` and `boostlu` are ahead in 9 of 9. `comic` loses everything at its defaults: it takes
more and more labels for missing ones; with a threshold of .95, tried because of this table, it is level with `bce` in
mAP and has a far higher macro F1.
""",
    "mixups": """## Mixups

Digits, 200 rows to fit in 100 epochs, the others to judge by. The columns are the pixels row by row.

`mixup` and `manifold_mixup` are ahead of none in 5 of 5 seeds, by less than a point. In the mean all are worse
calibrated than none, `sumix` and `cutmix` most.
""",
    "tail": """## A long tail

Of the training rows of digits and letter (three quarters; at most 8,000) the classes keep fewer and fewer, by equal
factors down to a fiftieth; 4,000 other rows of letter to judge by and a quarter of digits, all classes alike. As many
epochs as make the steps of 30 on all rows. `cooldown` switches at half of them; `dataset_equity` has the classes for
groups; `action_aware` begins to weigh after 20 of 105. `shuffle` is cross entropy as it comes. The sampler `dual` is
for two classes, see above.

Whatever makes classes alike helps in 6 of 6 fits: `logit_adjusted` most, then `action_aware` with `rebalanced_mix`,
weights, and the samplers `per_class`, `class_balanced` and `temperature_sampler`. `cooldown` loses most of that gain in
its second half. The reductions gain a point at most; `mixup` is behind none.
""",
    "noise": """## Every loss for classes

A quarter of the rows to judge by (letter: 8,000 to fit and 4,000 to judge by; of abalone the classes with 50 rows); 30
epochs, and as many steps on the long tail; labels to judge by are clean. Flipped ones are any other class, those of
pairs the next one. "+" is added to cross entropy, `center` with a factor of 0.1. Left out, as the user must give a
fact: {facts}. "Time" is that of `fit` on the processor over that of cross entropy of the same rows, the median over
sets and seeds; losses without probabilities have no ECE.

With 40 % flipped `gce`, `symmetric_ce` and `multiclass_tversky` lead; they are behind cross entropy on clean rows and
far behind on the long tail. `spherical_score` and `brier` gain under flips at next to no cost on clean rows, and lose
on the long tail.
`multiclass_tversky` and the margins `ldam`, `adaface` and `cosface` stand pairs best. `aldr` and `normalized_softmax`
have the best clean accuracy, by letter, and lose most on flipped digits. `cbc_margin`, `elr`, `unpg` and
`smooth_adv_comp_sum` are behind cross entropy in each mean but that of pairs, `gaussian_proto` in that too.
""",
}
VERDICTS = """## What was promised, and what is seen

What papers let expect of a method, in the short form of this page: where, whom it should lead or equal in what score,
the two means, and in how many fits it does. "Seen" takes the mean and three quarters of the fits. "~" is within .005,
">=" no farther behind than that. Places: *flipped* is 40 %, *rare* mammography and oil spill, *ages* abalone, whose
classes are numbers: "distance" is how far the prediction is off. Parameters are defaults, and sets are small. Some
stand for what was not run: `subcenter_arcface` without its purge of rows, `dual` with `bce`, `emo` by distances of
ages, `encouraging` without margins.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data files")
    parser.add_argument("--out", type=Path, default=Path("classification.jsonl"))
    parser.add_argument("--report", type=Path, help="where the tables go, in Markdown; standard output if left out")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sklearnloss.components()
    here: dict[str, Any] = {"cwd": Path(__file__).parent, "capture_output": True, "text": True, "check": False}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], **here).stdout.strip()
    rows = [json.loads(line) for line in arguments.out.read_text().splitlines()] if arguments.out.exists() else []
    done: dict[Job, Scores] = {tuple(row["job"]): row["scores"] for row in rows}
    todo = [job for part in arguments.only for job in jobs(part) if job not in done]
    print(f"{len(done)} fits are in {arguments.out}, {len(todo)} to do", file=sys.stderr, flush=True)
    started = time.monotonic()
    with arguments.out.open("a") as file:
        for number, job in enumerate(todo, 1):
            done[job] = run(job, arguments.data)
            rows.append({"job": job, "commit": commit, "scores": done[job]})
            file.write(json.dumps(rows[-1]) + "\n")
            file.flush()
            print(f"{number}/{len(todo)} {time.monotonic() - started:.0f} s {job}", file=sys.stderr, flush=True)
    text = report(arguments.only, done, sorted({row.get("commit", commit) for row in rows}))
    if arguments.report is None:
        print(text)
    else:
        arguments.report.write_text(text)


if __name__ == "__main__":
    main()
