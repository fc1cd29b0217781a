"""Which labels are wrong: how well detectors rank them, and what leaving them out is worth.

python benchmarks/wrong_labels.py --data DIR [--out FILE.jsonl] [--report benchmarks/wrong_labels.md] [--seeds 3]

digits, letter and adult, of the latter two 6,000 rows; 10 and 20 % of the labels changed, to any other class
(symmetric) or to the next one (pair; of two classes the same). Area under the ROC curve of the scores for the changed
rows; of the default thresholds precision and recall; accuracy on held-out rows with right labels, of a perceptron that
learned all rows, or those that are not doubted. Beside them cleanlab, on the same probabilities as confident learning.
Every line is written as it ends, and a second run goes on.
"""

import argparse
import json
import subprocess
import time
import warnings
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from sklearnloss import LabelNoiseDetector, LossClassifier, make_preprocessor
from sklearnloss.noise.detector import METHODS

ROWS = 6000
SETTINGS = [(kind, share) for kind in ("symmetric", "pair") for share in (0.1, 0.2)]


def load(name: str, folder: Path) -> tuple[Any, np.ndarray]:
    """Return features as numbers, and classes."""
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        return X.astype(np.float32), y
    table = pd.read_csv(folder / ("cls_letter.csv.gz" if name == "letter" else "cls_adult_train.csv.gz"))
    X, y = table.drop(columns="y"), table["y"]
    rows = np.random.default_rng(0).permutation(len(table))[:ROWS]
    return X.iloc[rows].reset_index(drop=True), np.unique(y.to_numpy()[rows], return_inverse=True)[1]


def changed(y: np.ndarray, kind: str, share: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return labels of which some are wrong, and which."""
    k, wrong = int(y.max()) + 1, np.zeros(len(y), dtype=bool)
    wrong[rng.choice(len(y), round(share * len(y)), replace=False)] = True
    step = rng.integers(1, k, len(y)) if kind == "symmetric" else np.ones(len(y), dtype=int)
    return np.where(wrong, (y + step) % k, y), wrong


def judged(scores: np.ndarray, mask: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    """Return how well scores and mask find the wrong rows."""
    return {
        "auc": float(roc_auc_score(wrong, scores)),
        "precision": float(wrong[mask].mean()) if mask.any() else float("nan"),
        "recall": float(mask[wrong].mean()),
    }


def runs(X: Any, y: np.ndarray, kind: str, share: float, seed: int, done: set[str]) -> Any:
    """Yield a line for each method that is not done yet."""
    rng = np.random.default_rng(1000 * seed + 17)
    train, test = train_test_split(np.arange(len(y)), test_size=0.25, stratify=y, random_state=seed)
    if isinstance(X, pd.DataFrame):
        preparer = make_preprocessor().fit(X.iloc[train])
        rows, held = (np.asarray(preparer.transform(X.iloc[part]), dtype=np.float32) for part in (train, test))
    else:
        rows, held = X[train], X[test]
    labels, wrong = changed(y[train], kind, share, rng)

    def accuracy(kept: np.ndarray) -> float:
        net = LossClassifier(max_epochs=30, random_state=seed).fit(rows[kept], labels[kept])
        return float((net.predict(held) == y[test]).mean())

    if "all rows" not in done:
        yield {"method": "all rows", "accuracy": accuracy(np.ones(len(train), dtype=bool)), "seconds": 0.0}
    if "without the wrong" not in done:
        yield {"method": "without the wrong", "accuracy": accuracy(~wrong), "seconds": 0.0}
    net = LossClassifier(max_epochs=30, random_state=seed)
    for method in METHODS:
        cleanlab = ("cleanlab, self-confidence", "cleanlab, normalized margin")
        wanted = method not in done or (method == "confident_learning" and not done.issuperset(cleanlab))
        if not wanted:
            continue
        start = time.perf_counter()
        own = net if method in ("confident_learning", "cv_margin") else None
        detector = LabelNoiseDetector(method, own, random_state=seed).fit(rows, labels)
        seconds = time.perf_counter() - start
        if method not in done:
            kept = ~detector.noisy_mask_
            learnable = len(np.unique(labels[kept])) == len(np.unique(labels))
            found = judged(detector.scores_, detector.noisy_mask_, wrong)
            yield {"method": method, **found, "accuracy": accuracy(kept) if learnable else None, "seconds": seconds}
        if method == "confident_learning":
            yield from _cleanlab(detector.method_.proba_, labels, wrong, done, accuracy, cleanlab)


def _cleanlab(
    proba: np.ndarray, labels: np.ndarray, wrong: np.ndarray, done: set[str], accuracy: Any, names: Any
) -> Any:
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    for name, ranking in zip(names, ("self_confidence", "normalized_margin"), strict=True):
        if name in done:
            continue
        start = time.perf_counter()
        scores = -get_label_quality_scores(labels, proba, method=ranking)
        mask = np.asarray(find_label_issues(labels, proba))
        seconds = time.perf_counter() - start
        yield {"method": name, **judged(scores, mask, wrong), "accuracy": accuracy(~mask), "seconds": seconds}


def report(lines: list[dict[str, Any]], path: Path) -> None:
    """Write the tables."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    seeds = len({line["seed"] for line in lines})
    cells: dict[tuple[str, str, float], dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        cells[line["data"], line["kind"], line["share"]][line["method"]].append(line)
    columns = [(d, k, s) for d in ("digits", "letter", "adult") for k, s in SETTINGS if (d, k, s) in cells]
    methods = list(dict.fromkeys(line["method"] for line in lines))
    head = "| | " + " | ".join(f"{d}, {k} {100 * s:.0f} %" for d, k, s in columns) + " |"
    rule = "|---" * (len(columns) + 1) + "|"
    text = [
        "# Which labels are wrong",
        "",
        "Written by `python benchmarks/wrong_labels.py --data DIR --report benchmarks/wrong_labels.md`",
        f"(commit {commit}; " + ", ".join(f"{p} {version(p)}" for p in ("torch", "scikit-learn", "cleanlab")) + ").",
        f"Means of {seeds} seed(s). Defaults of every method, nothing tuned; confident learning, margins out of fold",
        "and cleanlab share one perceptron with 30 epochs and five folds.",
    ]
    for title, key in (
        ("Area under the ROC curve", "auc"),
        ("Precision of the rows that are doubted", "precision"),
        ("Recall of the rows that are doubted", "recall"),
        ("Accuracy on rows with right labels, without the doubted rows", "accuracy"),
    ):
        text += ["", f"## {title}", "", head, rule]
        for method in methods:
            if key == "accuracy" or method not in ("all rows", "without the wrong"):
                row = [[r[key] for r in cells[c][method] if r.get(key) is not None] for c in columns]
                text.append(f"| {method} | " + " | ".join(f"{np.mean(v):.3f}" if v else "-" for v in row) + " |")
    text += ["", "## Seconds of a fit", "", head, rule]
    for method in methods[2:]:
        row = [[r["seconds"] for r in cells[c][method]] for c in columns]
        text.append(f"| {method} | " + " | ".join(f"{np.median(v):.1f}" if v else "-" for v in row) + " |")
    path.write_text("\n".join(text) + "\n")


def main() -> None:
    """Run what is missing, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("wrong_labels.jsonl"))
    parser.add_argument("--report", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    lines = [json.loads(text) for text in arguments.out.read_text().splitlines()] if arguments.out.exists() else []
    with arguments.out.open("a") as file:
        for seed in range(arguments.seeds):
            for name in ("digits", "letter", "adult"):
                X, y = load(name, arguments.data)
                for kind, share in SETTINGS:
                    if kind == "pair" and y.max() == 1:
                        continue  # of two classes it is the same
                    place = {"data": name, "kind": kind, "share": share, "seed": seed}
                    done = {r["method"] for r in lines if all(r[k] == v for k, v in place.items())}
                    for line in runs(X, y, kind, share, seed, done):
                        lines.append({**place, **line})
                        file.write(json.dumps(lines[-1]) + "\n")
                        file.flush()
                        print(lines[-1], flush=True)
    if arguments.report:
        report(lines, arguments.report)


if __name__ == "__main__":
    main()
