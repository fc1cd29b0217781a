"""Comparisons made up from numbers, so that pages of every kind take no training; and a browser to open them in."""

import shutil

import numpy as np
import pytest

from sklearnloss.comparison.candidates import Candidate
from sklearnloss.comparison.findings import Settings
from sklearnloss.comparison.result import Comparison

N_TEST = 60  # rows held out in each made-up split


def settings_of(task, baseline, splits, repeats, **changes):
    given = {
        "name": "made up",
        "task": task,
        "scoring": ("accuracy", "balanced_accuracy"),
        "scorer": '"accuracy"',
        "baseline": baseline,
        "rope": 0.01,
        "test_share": 1 / splits if splits > 1 else 0.2,
        "splits": splits * repeats,
        "repeats": repeats,
        "random_state": 0,
        "plan": f"{splits} stratified folds, repeated {repeats} times",
        "splitter": f"StratifiedKFold({splits}, shuffle=True, random_state=seed)",
        "source": "X, y = ...  # your data",
        "estimator": "LossClassifier()",
        "preprocessor": "make_preprocessor()",
        "imports": (("sklearnloss", "LossClassifier"), ("sklearnloss", "make_preprocessor")),
        "versions": {"sklearnloss": "0.1.0"},
    }
    return Settings(**given | changes)


def data_of_bags(classes):
    """Return the facts that bags have in place of counts."""
    shares = [2 / len(classes) * (len(classes) - j) / (len(classes) + 1) for j in range(len(classes))]
    return {
        "classes": [
            {"name": name, "share": share, "low": 0.0, "high": 2 * share}
            for name, share in zip(classes, shares, strict=True)
        ],
        "bags": {"count": 37, "smallest": 2, "median": 8.5, "largest": 1234, "mean_kl": -0.1234},
        "duplicates": {"rows": 6},
    }


def data_of(task, classes):
    counts = [7 * (len(classes) - j) + 3 for j in range(len(classes))]
    facts = {
        "task": task,
        "rows": sum(counts),
        "columns": 12,
        "column_kinds": {"number": 8, "category": 4},
        "memory_bytes": 12_345,
        "missing": {"cells": 5, "share": 0.002, "columns": 2, "rows": 5},
        "classes": [
            {"name": name, "count": count, "share": count / sum(counts)}
            for name, count in zip(classes, counts, strict=True)
        ],
        "class_names": list(classes),
        "imbalance": counts[0] / counts[-1],
        "duplicates": {"rows": 6, "conflicting": 2, "outvoted": 1},
        "constant_columns": ["empty"],
    }
    if task != "llp":
        return facts
    return {name: value for name, value in facts.items() if name != "imbalance"} | data_of_bags(classes)


def record_of(rng, place, level, *, k, epochs, proba, confused, warnings, scoring):
    """Return a fit like those that are kept, of about so high a score."""
    score = float(np.clip(level + rng.normal(0, 0.008), 0, 1))
    curve = score - 0.5 * np.exp(-np.arange(epochs) / 2)
    confidence = np.array([0.55, 0.75, 0.95])
    bins = {"confidence": confidence.tolist(), "accuracy": (confidence * level).tolist(), "count": [10.0, 20.0, 30.0]}
    right = np.diag(np.full(k, 20)) + rng.integers(0, 3, (k, k))
    return {
        "repeat": place[0],
        "fold": place[1],
        "error": None,
        "warnings": list(warnings),
        "scores": dict(zip(scoring, (score, score - 0.01), strict=True)),
        "fit_seconds": float(0.2 + rng.gamma(2, 0.1)),
        "predict_seconds": 0.004,
        "n_train": 4 * N_TEST,
        "n_test": N_TEST,
        "epochs": epochs,
        "curve": {"epoch": list(range(1, epochs + 1)), "score": curve.tolist(), "loss": (1 - curve).tolist()},
        "calibration": {
            "nll": 0.3,
            "brier": 0.1,
            "ece": 0.05,
            "ece_equal_mass": 0.05,
            "ece_classwise": 0.05,
            "ks": 0.05,
            "bins": bins,
        }
        if proba
        else None,
        "confusion": right.tolist() if confused else None,
    }


def make_comparison(
    levels,
    *,
    classes=("a", "b", "c"),
    task="multiclass",
    splits=3,
    repeats=2,
    epochs=6,
    failed=None,
    unscored=(),
    without_proba=(),
    warnings=None,
    finished=True,
    baseline=None,
    **changes,
):
    """Return a comparison of losses with about these scores, by name; ``failed`` says why, ``unscored`` never ran."""
    rng = np.random.default_rng(0)
    scoring = changes.get("scoring", ("accuracy", "balanced_accuracy"))
    places = [(repeat, fold) for repeat in range(repeats) for fold in range(splits)]
    records = {
        name: [
            record_of(
                rng, place, level, k=len(classes), epochs=epochs,
                proba=name not in without_proba and task not in ("embedding", "llp"),
                confused=task not in ("multilabel", "embedding", "llp") and len(classes) <= 40,
                warnings=(warnings or {}).get(name, ()), scoring=scoring,
            )
            for place in places
        ]
        for name, level in levels.items()
    }  # fmt: skip
    for name, reason in (failed or {}).items():
        records[name] = [{"repeat": 0, "fold": 0, "error": reason, "warnings": []}]
    names = [*levels, *(failed or {}), *unscored]
    spec = "bce" if task == "multilabel" else "cross_entropy"
    return Comparison(
        settings_of(task, baseline or names[0], splits, repeats, **changes),
        [Candidate(name, spec) for name in names],
        records,
        data=data_of(task, classes),
        finished=finished,
        template=None,
        given=(None, None, {}),
    )


BREAKOUT = '</script><script>alert("x")</script>\'"><img src=x onerror=alert(1)> & <b>'
UNICODE = "Überverlust – ñandú 損失関数 🦊 \u202eabc\u202c \x1b[31m \ud800"


def many():
    levels = {"cross_entropy": 0.9} | {f"ldr(lam={0.5 + i}, margin={0.1 * i:.1f})": 0.8 + 0.005 * i for i in range(29)}
    return make_comparison(levels, epochs=25, splits=5, without_proba=["ldr(lam=3.5, margin=0.3)"])


def hostile():
    classes = (BREAKOUT, "a & b", UNICODE, "x" * 90)
    return make_comparison(
        {"ce": 0.8, BREAKOUT: 0.9, UNICODE: 0.7, "n" * 120: 0.85},
        classes=classes,
        failed={f"<i>{BREAKOUT}": f"RuntimeError: {BREAKOUT}"},
        warnings={"ce": [f"careful: {BREAKOUT}"]},
        name=BREAKOUT,
        notes=(BREAKOUT,),
        plan=BREAKOUT,
        splitter=BREAKOUT,
        estimator=BREAKOUT,
        preprocessor=BREAKOUT,
        source=f"X, y = {BREAKOUT!r}",
        versions={BREAKOUT: BREAKOUT},
        fit_facts=("teacher",),
    )


KINDS = {
    "plain": lambda: make_comparison({"ce": 0.80, "gce(q=0.7)": 0.9, "focal": 0.805, "hinge": 0.72}, baseline="ce"),
    "many losses": many,
    "many classes": lambda: make_comparison({"ce": 0.5, "gce": 0.6}, classes=[f"class {i}" for i in range(100)]),
    "forty classes": lambda: make_comparison({"ce": 0.5, "gce": 0.6}, classes=[f"species {i}" for i in range(40)]),
    "two classes": lambda: make_comparison({"ce": 0.8, "bce": 0.8}, classes=("no", "yes"), task="binary"),
    "several labels": lambda: make_comparison({"bce": 0.6, "asl": 0.7}, classes=("x", "y", "z"), task="multilabel"),
    "an embedding": lambda: make_comparison(
        {"multi_similarity": 0.8, "triplet(margin=0.3)": 0.9, "supcon + 0.1 * tcm": 0.85},
        task="embedding",
        scoring=("map_at_r", "recall_at_1"),
        scorer='embedding_scorer("map_at_r")',
        estimator="MetricEmbedder()",
        notes=("each row held out is looked for among the others held out with it",),
    ),
    "bags": lambda: make_comparison(
        {"proportion_ce": 0.8, "em_llp": 0.9, "bag_interp(rho=0.1)": 0.85},
        classes=("left", "right", "none of these"),
        task="llp",
        scoring=("bag_kl", "bag_l1"),
        scorer="bag_kl_scorer",
        rope=0.001,
        plan="3 stratified folds of whole bags, repeated twice",
        splitter="StratifiedBagKFold(3, shuffle=True, random_state=seed)",
        source="X, y, bags = ...  # your data",
        target="y = bag_targets(np.asarray(y), bags)",
        estimator="LLPClassifier()",
        imports=(("sklearnloss", "LLPClassifier"), ("sklearnloss", "make_preprocessor")),
    ),
    "all failed": lambda: make_comparison({}, failed={"ce": "NonFiniteLossError: it left the numbers", "gce": "no"}),
    "nothing ran": lambda: make_comparison({}, unscored=("ce", "gce"), finished=False),
    "one split": lambda: make_comparison({"ce": 0.8, "gce": 0.9}, splits=1, repeats=1, plan="one split"),
    "one loss": lambda: make_comparison({"ce": 0.8}, without_proba=["ce"]),
    "baseline failed": lambda: make_comparison({"gce": 0.8, "ldr": 0.7}, failed={"ce": "no"}, baseline="ce"),
    "far below": lambda: make_comparison({"ce": 0.9, "gce": 0.91, "focal": 0.9, "ldr": 0.89, "mae": 0.1}),
    "unfinished": lambda: make_comparison({"ce": 0.8, "gce": 0.9}, failed={"x": "no"}, unscored=(), finished=False),
    "hostile": hostile,
    "all equal": lambda: make_comparison({"ce": 1.2, "gce": 1.3, "ldr": 1.4}),
}


@pytest.fixture(params=KINDS)
def comparison(request):
    """Every kind of comparison that a page has to show."""
    return KINDS[request.param]()


@pytest.fixture
def made():
    """Return what makes a comparison up."""
    return make_comparison


@pytest.fixture
def of_kind():
    """Return what makes a comparison of a named kind."""
    return lambda kind: KINDS[kind]()


# -- browser ----------------------------------------------------------------------------------------------------------

CHROMIUM = shutil.which("chromium")
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)

# Contrast of every text with what is behind it; a canvas reads any notation of a colour.
CONTRASTS = """() => {
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const read = (colour) => {
    pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data];
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const [r, g, b, alpha] = read(getComputedStyle(at).backgroundColor);
      if (alpha === 255) return [r, g, b];
    }
    throw new Error("no background");
  };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    const silent = node.closest("script, noscript, title, desc") || !node.checkVisibility();
    if (silent || !walk.currentNode.data.trim()) continue;
    const style = getComputedStyle(node);
    const ink = light(read(node.closest("svg") ? style.fill : style.color).slice(0, 3)), paper = light(behind(node));
    found.push([walk.currentNode.data, (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05)]);
  }
  return found;
}"""

# Pairs of texts of one chart that overlap.
COLLISIONS = """() => [...document.querySelectorAll(".plot > svg")].flatMap((svg) => {
  const boxes = [...svg.querySelectorAll("text")].map((text) => [text.textContent, text.getBoundingClientRect()]);
  return boxes.flatMap(([a, p], i) => boxes.slice(0, i)
    .filter(([b, q]) => p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 3 && q.top < p.bottom - 3)
    .map(([b]) => `${a} and ${b}`));
})"""


@pytest.fixture(scope="module")
def browser():
    """Return a browser; tests that want it are skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no chromium to open the page with")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS.split())
        yield browser
        browser.close()


@pytest.fixture
def opened_page(browser, tmp_path):
    """Return what opens a page; afterwards it must have said nothing, and asked for nothing but itself."""
    contexts, noise = [], []

    def open_(html, *, width=1280, **options):
        path = tmp_path / "report.html"
        path.write_bytes(html.encode())
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, **options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("dialog", lambda dialog: (noise.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: None if request.url == path.as_uri() else noise.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_
    for context in contexts:
        context.close()
    assert noise == []


@pytest.fixture
def contrasts():
    """Return what finds the contrast of every text of a page with what is behind it."""
    return lambda page: page.evaluate(CONTRASTS)


@pytest.fixture
def collisions():
    """Return what finds texts of one chart that overlap."""
    return lambda page: page.evaluate(COLLISIONS)
