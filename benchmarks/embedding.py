"""How good are embeddings? Retrieval of classes never seen, few-shot learning, and nearest neighbours, loss by loss.

python benchmarks/embedding.py --data DIR [--out embedding.jsonl] [--report benchmarks/embedding.md] [--only PART ...]

Four parts, three seeds each, one thread, float32, the same network (d-256-64), optimizer and number of epochs for every
loss; nothing is tuned. The losses of pytorch-metric-learning run in the same loop, as losses of `MetricEmbedder`.

classes    trained on half of the classes, retrieval among the rows of the other half (digits, MNIST, letter)
rows       trained on 75 % of the rows in random batches, retrieval among the other rows
omniglot   trained on four alphabets, episodes of the fifth: 5 and 20 ways, 1 and 5 shots
pipeline   accuracy of 5 nearest neighbours on raw columns, after MetricEmbedder, and after NCA; and the time to fit

Every fit is written to the file as it ends, and a second run goes on from there.
"""

import argparse
import gzip
import importlib.util
import json
import sys
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, NeighborhoodComponentsAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearnloss
from sklearnloss import FewShotEvaluator, Loss, MetricEmbedder, Sampler
from sklearnloss.metrics.map_at_r import map_at_r
from sklearnloss.metrics.recall_at_k import recall_at_k

SEEDS = (0, 1, 2)
EPOCHS = {"digits": 20, "mnist": 8, "letter": 8, "omniglot": 25, "segment": 40}

OURS: dict[str, dict[str, Any]] = {
    name: {"loss": name}
    for name in (
        "supcon", "multi_similarity", "ntxent", "triplet", "contrastive", "circle", "tuplet", "npairs", "margin",
        "histogram", "fastap", "smoothap", "snr_contrastive", "centroid_triplet", "proxy_anchor", "proxy_nca",
        "soft_triple",
    )
}  # fmt: skip
OURS |= {
    "triplet + semihard": {"loss": "triplet", "miner": "semihard"},
    "multi_similarity + its miner": {"loss": "multi_similarity", "miner": "multi_similarity_miner"},
    "multi_similarity + tcm": {"loss": Loss("multi_similarity") + Loss("tcm")},
    "contrastive + metrix": {"loss": "contrastive", "mixup": "metrix"},
    "contrastive + memory": {"loss": "contrastive", "memory": 1024},
}
DEEPER = {f"{loss}, two hidden layers": {"loss": loss, "hidden_layer_sizes": (256, 256)} for loss in ("supcon",)}
EPISODES = {
    "proto_triplet on episodes": {"loss": "proto_triplet"},
    "icnn on episodes": {"loss": "icnn"},
}
PEERS: dict[str, Callable[[Any, int], Any]] = {
    "SupConLoss": lambda losses, k: losses.SupConLoss(),
    "MultiSimilarityLoss": lambda losses, k: losses.MultiSimilarityLoss(),
    "ContrastiveLoss": lambda losses, k: losses.ContrastiveLoss(),
    "TripletMarginLoss": lambda losses, k: losses.TripletMarginLoss(),
    "CircleLoss": lambda losses, k: losses.CircleLoss(),
}


# -- data -------------------------------------------------------------------------------------------------------------


@cache
def load(name: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return rows in float32 and their classes."""
    if name == "digits":
        X, y = load_digits(return_X_y=True)
    elif name == "mnist":
        images = gzip.decompress((folder / "mnist_t10k_images_idx3_ubyte.gz").read_bytes())
        labels = gzip.decompress((folder / "mnist_t10k_labels_idx1_ubyte.gz").read_bytes())
        X = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784) / 255
        y = np.frombuffer(labels, np.uint8, offset=8)
    elif name == "omniglot":
        X, y = omniglot(folder)[:2]
    else:
        column = {"letter": ("cls_letter", "y"), "segment": ("cls_weka_segment_challenge", "class")}[name]
        table = pd.read_csv(folder / f"{column[0]}.csv.gz")
        target = column[1] if column[1] in table else table.columns[-1]
        X, y = table.drop(columns=target).to_numpy(float), table[target].to_numpy()
    return X.astype(np.float32), np.unique(y, return_inverse=True)[1]


@cache
def omniglot(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return images of 28 x 28 pixels, their characters, and their alphabets."""
    held = np.load(folder / "omniglot_bg_small1.npz")
    ink = np.unpackbits(held["packed"], axis=1)[:, : 105 * 105].reshape(-1, 105, 105)
    images = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(ink.astype(np.float32)), 28)
    return images.reshape(len(ink), -1).numpy(), held["cls"].astype(int), held["alphabet"]


# -- one fit ----------------------------------------------------------------------------------------------------------


def embedder(method: str, data: str, seed: int, n_classes: int, **more: Any) -> Any:
    """Return the estimator of a method, or None for raw columns."""
    if method == "raw":
        return None
    shared = {"max_epochs": EPOCHS[data], "standardize": data in ("letter", "segment"), "random_state": seed}
    if method.startswith("peer: "):
        return MetricEmbedder(peer_loss(method.removeprefix("peer: "), n_classes), **(shared | more))
    return MetricEmbedder(**((OURS | EPISODES | DEEPER)[method] | shared | more))


def peer_loss(name: str, n_classes: int) -> Any:
    """Return a loss of pytorch-metric-learning as a loss of ours."""
    from pytorch_metric_learning import losses

    made = PEERS[name](losses, n_classes)

    @sklearnloss.loss(f"peer_{name}", task="embedding", unit="batch")
    def peer(embeddings, y):  # type: ignore[no-untyped-def]
        return made(embeddings, y)

    return peer


def of_classes(method: str, data: str, seed: int, folder: Path) -> dict[str, float]:
    X, y = load(data, folder)
    classes = np.random.default_rng(seed).permutation(np.unique(y))
    seen = np.isin(y, classes[: len(classes) // 2])
    model = embedder(method, data, seed, len(classes) // 2)
    started = time.perf_counter()
    if model is not None:
        model.fit(X[seen], y[seen])
    seconds = time.perf_counter() - started
    return {**retrieval(X[~seen] if model is None else model.transform(X[~seen]), y[~seen]), "fit": seconds}


def of_rows(method: str, data: str, seed: int, folder: Path) -> dict[str, float]:
    X, y = load(data, folder)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=seed)
    model = embedder(method, data, seed, len(np.unique(y)), sampler="shuffle")
    started = time.perf_counter()
    if model is not None:
        model.fit(X, y)
    seconds = time.perf_counter() - started
    queries, gallery = (X_test, X) if model is None else (model.transform(X_test), model.transform(X))
    fitted = float(map_at_r(queries, y_test, gallery=gallery, gallery_labels=y))
    return {**retrieval(queries, y_test), "MAP@R among fitted rows": fitted, "fit": seconds}


def of_omniglot(method: str, data: str, seed: int, folder: Path) -> dict[str, float]:
    X, y, alphabet = omniglot(folder)
    test = alphabet == ("Korean", "Latin", "Greek")[seed]
    more: dict[str, Any] = {}
    if method in EPISODES:
        more["sampler"] = Sampler("episodic", ways=12, n_support=5, n_query=5)
    model = embedder(method, data, seed, len(np.unique(y[~test])), **more)
    started = time.perf_counter()
    if model is not None:
        model.fit(X[~test], y[~test])
    scores = {"fit": time.perf_counter() - started}
    for ways in (5, 20):
        for shots in (1, 5):
            evaluator = FewShotEvaluator(ways, shots, queries=10, episodes=300, random_state=0)
            scores[f"{ways}-way {shots}-shot"] = float(evaluator.evaluate(model, X[test], y[test]).mean)
    return scores


def of_pipeline(method: str, data: str, seed: int, folder: Path) -> dict[str, float]:
    X, y = load(data, folder)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=seed)
    steps = {
        "neighbors": [],
        "NCA": [NeighborhoodComponentsAnalysis(random_state=seed)],
        "MetricEmbedder": [MetricEmbedder(random_state=seed)],
        "MetricEmbedder('supcon', max_epochs=20)": [MetricEmbedder("supcon", max_epochs=20, random_state=seed)],
    }[method]
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "\\[NeighborhoodComponentsAnalysis\\] NCA did not converge")
        model = make_pipeline(StandardScaler(), *steps, KNeighborsClassifier()).fit(X, y)
    seconds = time.perf_counter() - started
    return {"accuracy": float(model.score(X_test, y_test)), "fit": seconds}


def retrieval(embeddings: np.ndarray, y: np.ndarray) -> dict[str, float]:
    return {"MAP@R": float(map_at_r(embeddings, y)), "R@1": float(recall_at_k(embeddings, y))}


# -- all fits ---------------------------------------------------------------------------------------------------------

PARTS: dict[str, tuple[Callable[..., dict[str, float]], tuple[str, ...], list[str]]] = {
    "pipeline": (
        of_pipeline,
        ("digits", "segment", "letter"),
        ["neighbors", "MetricEmbedder", "MetricEmbedder('supcon', max_epochs=20)", "NCA"],
    ),
    "rows": (of_rows, ("digits", "mnist", "letter"), ["raw", "supcon", "multi_similarity", *DEEPER]),
    "classes": (of_classes, ("digits", "mnist", "letter"), ["raw", *OURS]),
    "omniglot": (of_omniglot, ("omniglot",), ["raw", *OURS, *EPISODES]),
}


def jobs(parts: list[str]) -> list[tuple[str, str, str, int]]:
    """Return part, method, data and seed of each fit, all methods of a seed before the next."""
    there = importlib.util.find_spec("pytorch_metric_learning") is not None
    if not there:
        print("pytorch-metric-learning is not installed; its losses are left out (pip install 'sklearnloss[bench]')")
    peers = [f"peer: {name}" for name in PEERS] if there else []
    return [
        (part, method, data, seed)
        for part in parts
        for seed in SEEDS
        for data in PARTS[part][1]
        for method in PARTS[part][2]
        + (peers if part in ("classes", "omniglot") else peers[:2] if part == "rows" else [])
        if (method, data, seed > 0) != ("NCA", "letter", True)  # ten minutes each
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data files")
    parser.add_argument("--out", type=Path, default=Path("embedding.jsonl"))
    parser.add_argument("--report", type=Path, help="where the tables go, in Markdown; standard output if left out")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sklearnloss.components()  # imports are not part of a fit
    rows = [json.loads(line) for line in arguments.out.read_text().splitlines()] if arguments.out.exists() else []
    done = {(row["part"], row["method"], row["data"], row["seed"]): row for row in rows}
    todo = [job for job in jobs(arguments.only) if job not in done]
    print(f"{len(done)} fits are in {arguments.out}, {len(todo)} to do", file=sys.stderr)
    with arguments.out.open("a") as file:
        for job in todo:
            part, method, data, seed = job
            scores = PARTS[part][0](method, data, seed, arguments.data)
            done[job] = {"part": part, "method": method, "data": data, "seed": seed, **scores}
            file.write(json.dumps(done[job]) + "\n")
            file.flush()
    text = "\n".join(table(part, done) for part in arguments.only)
    if arguments.report is None:
        print(text)
    else:
        arguments.report.write_text(f"{HEAD}\n{text}")


HEAD = """# Embeddings, loss by loss

Written by `python benchmarks/embedding.py --data DIR --report benchmarks/embedding.md`. Means of three seeds,
after ± half the range from the lowest to the highest. One thread, float32, perceptron d-256-64, Adam with a rate
of 0.001, batches of 128, nothing tuned: each loss has its default parameters. "peer" is the loss of that name of
pytorch-metric-learning 2.9.0 with its defaults in the same loop.
"""
TITLES = {
    "pipeline": """## Five nearest neighbours, on columns as they are and after an embedding

`make_pipeline(StandardScaler(), ..., KNeighborsClassifier())` with defaults, 75 % of the rows to fit; accuracy on the
others, and seconds to fit the whole pipeline. NCA on letter is one seed.""",
    "rows": """## Rows held out

75 % of the rows to fit, in random batches, for 20 epochs (digits) or 8 (MNIST, letter). MAP@R of the others, retrieved
among themselves; and among the rows that were fitted.""",
    "classes": """## Classes never seen

Half of the classes to fit, 4 rows or more of each class in a batch, for 20 epochs (digits) or 8; MAP@R and R@1 among
all rows of the other half. Seconds are those of the fit, on MNIST.""",
    "omniglot": """## Omniglot, an alphabet never seen

Four alphabets to fit, 25 epochs; 300 episodes of the fifth (Korean, Latin, Greek), nearest class mean, accuracy.
Pixels, no convolutions.""",
}


def table(part: str, done: dict[Any, dict[str, Any]]) -> str:
    known = {method for _, method, _, _ in jobs([part])}
    rows = [row for row in done.values() if row["part"] == part and row["method"] in known]
    if part == "omniglot":
        columns = [("omniglot", name) for name in ("5-way 1-shot", "5-way 5-shot", "20-way 1-shot", "20-way 5-shot")]
    else:
        names = {
            "pipeline": ("accuracy", "fit"),
            "rows": ("MAP@R", "MAP@R among fitted rows"),
            "classes": ("MAP@R", "R@1"),
        }[part]
        columns = [(data, name) for data in PARTS[part][1] for name in names]
    columns += [("mnist", "fit")] if part == "classes" else []
    methods = dict.fromkeys(row["method"] for row in rows)
    cells = {m: [cell(rows, m, data, name) for data, name in columns] for m in methods}
    ranked = part in ("classes", "omniglot")
    order = sorted(methods, key=lambda m: -mean(rows, m, *columns[0])) if ranked else list(methods)
    lines = ["| | " + " | ".join(f"{data} {name}" if part != "omniglot" else name for data, name in columns) + " |"]
    lines.append("|---|" + "---|" * len(columns))
    lines += [
        f"| {m if m.startswith('peer') or ' ' in m else f'`{m}`'} | " + " | ".join(cells[m]) + " |" for m in order
    ]
    return TITLES[part] + "\n\n" + "\n".join(lines) + "\n"


def values(rows: list[dict[str, Any]], method: str, data: str, name: str) -> list[float]:
    return [row[name] for row in rows if row["method"] == method and row["data"] == data]


def mean(rows: list[dict[str, Any]], method: str, data: str, name: str) -> float:
    found = values(rows, method, data, name)
    return float(np.mean(found)) if found else -1.0


def cell(rows: list[dict[str, Any]], method: str, data: str, name: str) -> str:
    found = values(rows, method, data, name)
    if not found:
        return ""
    if name == "fit":
        return f"{np.mean(found):.1f} s"
    return f"{np.mean(found):.3f} ± {(max(found) - min(found)) / 2:.3f}".replace("0.", ".")


if __name__ == "__main__":
    main()
