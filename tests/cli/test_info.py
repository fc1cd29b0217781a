"""``sklearnloss info``."""

import json

import pytest
from sklearn.datasets import load_iris

from sklearnloss import components
from sklearnloss.cli.usage import usage


def test_tells_everything_about_a_loss(run):
    result = run("info", "core:ldr")
    assert result.exit_code == 0
    assert result.stdout == (
        "loss core:ldr 0.1.0\n"
        "  Soft maximum of the gaps between the other classes and the true one.\n"
        "\n"
        "task           multiclass\n"
        "role           logits (n, k), a linear head\n"
        "unit           row: (n,), rows independent\n"
        "predict_proba  yes (softmax), not proper: set calibrate= for calibrated ones\n"
        "formula        verified\n"
        "\n"
        "parameters\n"
        "  lam = 1.0     a float in (0, inf); search 0.1 to 10, log scale\n"
        "                Temperature of the soft maximum.\n"
        "  margin = 1.0  a float in [0, inf); search 0.1 to 10, log scale\n"
        "                Amount by which the true class must lead.\n"
        "\n"
        "takes\n"
        "  logits  (n, k) one score per class\n"
        "  y       (n,) encoded targets\n"
        "\n"
        "references\n"
        '  [1]  Zhu, Ying, Yang. "Label distributionally robust losses for multi-class classification: consistency, '
        'robustness and adaptivity". ICML 2023.\n'
        "\n"
        "example\n"
        "  from sklearnloss import Loss, LossClassifier\n"
        '  model = LossClassifier(loss=Loss("ldr", lam=1.0, margin=1.0)).fit(X, y)\n'
    )


def test_tells_what_a_miner_looks_at_and_what_it_returns(run):
    semihard, mochi = (run("info", f"miner:{name}").stdout for name in ("semihard", "mochi"))
    assert "unit     window: how much farther than the positive a negative may be" in semihard
    assert "  block  some rows of the batch, compared with every other" in semihard
    assert "unit  " not in mochi  # it adds vectors
    assert "  embeddings  (n, d) the backbone's output" in mochi


def test_json_has_the_ranges_and_the_words(run):
    (ldr,) = json.loads(run("info", "core:loss:ldr", "--json").stdout)
    assert (ldr["kind"], ldr["plugin"], ldr["link"], ldr["predict_proba"]) == ("loss", "core", "softmax", True)
    assert ldr["parameters"][0] == {
        "name": "lam",
        "default": 1.0,
        "allowed": "a float in (0, inf)",
        "choices": [],
        "search": {"low": 0.1, "high": 10, "log": True},
        "about": "Temperature of the soft maximum.",
    }


@pytest.mark.parametrize("component", components(), ids=lambda c: f"{c.kind}-{c.full_name}")
def test_every_component_has_an_example_that_compiles(component):
    lines = usage(component)
    assert len(lines) == 2
    compile("\n".join(lines), "<example>", "exec")
    exec(lines[0], {})


def test_the_example_runs_as_it_stands():
    X, y = load_iris(return_X_y=True)
    names = {"X": X, "y": y}
    exec("\n".join(usage(next(c for c in components("loss") if c.name == "ldr"))), names)
    assert names["model"].score(X, y) > 0.9


def test_the_example_of_a_calibrator_goes_through_calibrate():
    X, y = load_iris(return_X_y=True)
    names = {"X": X, "y": y}
    lines = usage(next(c for c in components("calibrator") if c.name == "matrix"))
    assert lines[1] == 'model = LossClassifier(calibrate=Calibrator("matrix", l2=0.001)).fit(X, y)'
    exec("\n".join(lines), names)
    assert names["model"].predict_proba(X).shape == (150, 3)


@pytest.mark.usefixtures("three_plugins")
class TestOnThreePlugins:
    @pytest.mark.parametrize(
        ("name", "found"),
        [
            ("twice", ["loss core:twice", "loss acme:twice", "sampler acme:twice"]),
            ("double", ["loss core:twice"]),
            ("loss:twice", ["loss core:twice", "loss acme:twice"]),
            ("acme:twice", ["loss acme:twice", "sampler acme:twice"]),
            ("acme:loss:twice", ["loss acme:twice"]),
            ("sampler:twice", ["sampler acme:twice"]),
        ],
    )
    def test_prints_all_of_a_name(self, run, name, found):
        lines = run("info", name).lines
        assert [line.removesuffix(" 1.2") for line in lines if line.endswith(" 1.2")] == found
        assert [f"{r['kind']} {r['full_name']}" for r in json.loads(run("info", name, "--json").stdout)] == found

    def test_says_what_is_special(self, run):
        lines = run("info", "learner").lines
        for line in (
            "predict_proba  yes (sigmoid), proper",
            "classes        must have an order: numbers, ordered categories, or class_order=",
            "gradient       differs from that of the value, on purpose",
            "shapes         depend on the data",
            "value          says nothing about progress",
            "  n_samples  rows given to fit",
            "  index      (n,) row numbers in the X given to fit",
        ):
            assert line in lines

    def test_says_where_probabilities_do_not_come_from(self, run):
        lines = run("info", "core:twice").lines
        assert "aliases        double" in lines
        assert "predict_proba  none: set calibrate=" in lines
        assert "formula        guess" in lines

    def test_the_markup_of_docstrings_is_not_shown(self, run):
        assert "              A temperature, see [1] on tau." in run("info", "core:twice").lines

    def test_says_which_facts_the_user_gives(self, run):
        wish = "  teacher  (N, k) logits of a teacher; you give it: fit(X, y, teacher=...)"
        core, acme = run("info", "core:twice").lines, run("info", "acme:loss:twice").lines
        assert core[core.index("wishes") + 1] == wish
        assert acme[acme.index("needs") + 1] == wish
        assert "target   as it is, never standardized" in acme
        assert "link     identity" in acme

    @pytest.mark.parametrize(
        ("name", "call"),
        [
            ("core:twice", 'model = LossClassifier(loss=Loss("core:twice", form="a")).fit(X, y)'),
            ("sampler:twice", 'model = LossClassifier(sampler="twice").fit(X, y)'),
            ("learner", 'model = LossClassifier(loss=Loss("learner", gamma=2.0)).fit(X, y)'),
            ("prior", 'model = LossClassifier(loss=Loss("cross_entropy") + 0.1 * Loss("prior", weight=1.0)).fit(X, y)'),
        ],
    )
    def test_the_example_names_what_the_component_needs(self, run, name, call):
        assert run("info", name).lines[-1] == f"  {call}"

    @pytest.mark.parametrize(
        ("name", "estimator", "through_it", "without"),
        [
            (
                "hug",
                "MetricEmbedder",
                'model = MetricEmbedder(loss=Loss("hug", margin=0.5)).fit(X, y)',
                "hug(embeddings, y, margin=0.5)",
            ),
            (
                "acme:loss:twice",
                "LossRegressor",
                'model = LossRegressor(loss="acme:twice").fit(X, y, teacher=teacher)',
                "other_twice(prediction, y, teacher=teacher)",
            ),
        ],
    )
    def test_the_example_goes_through_an_estimator_if_there_is_one(
        self, run, monkeypatch, name, estimator, through_it, without
    ):
        monkeypatch.setattr("sklearnloss.__all__", ["LossClassifier", estimator])
        assert run("info", name).lines[-1] == f"  {through_it}"
        monkeypatch.setattr("sklearnloss.__all__", ["LossClassifier"])
        assert run("info", name).lines[-1] == f"  {without}"

    def test_json_is_standard_json_even_of_an_infinite_default(self, run):
        (twice,) = json.loads(run("info", "core:twice", "--json").stdout, parse_constant=pytest.fail)
        tau, form = twice["parameters"]
        assert (tau["default"], form["choices"]) == ("inf", ["a", "b"])

    @pytest.mark.parametrize("columns", [80, 50])
    def test_a_terminal_wraps_under_the_first_line(self, run, columns):
        lines = run("info", "core:twice", columns=columns).lines
        assert all(len(line) <= columns for line in lines[: lines.index("example")])
        assert lines[2].startswith("  ")
        assert "…" not in "".join(lines)

    def test_an_unknown_name_is_one_line_with_a_near_miss(self, run):
        result = run("info", "acme:twise")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == "error: unknown component 'acme:twise'; did you mean 'twice'? (sklearnloss list)\n"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("miner:semihard", 'model = MetricEmbedder(miner=Miner("semihard", margin=0.2)).fit(X, y)'),
        ("distance:dot", 'model = MetricEmbedder("contrastive", distance=Distance("dot", normalize=False)).fit(X, y)'),
        ("view:noise", 'model = MetricEmbedder(views=View("noise", sigma=0.1)).fit(X)'),
        ("loss:vicreg", "MetricEmbedder("),
        ("loss:cbc_margin", 'model = LossClassifier(loss=Loss("cbc_margin", margin=0.1, sigma=1.0)).fit(X, y)'),
        (
            "loss:center",
            'model = LossClassifier(loss=Loss("cross_entropy") + 0.1 * Loss("center", rate=0.5)).fit(X, y)',
        ),
        ("sampler:knn_batch", "MetricEmbedder("),
        ("mixup:metrix", 'MetricEmbedder("contrastive", mixup='),
    ],
)
def test_what_works_on_embeddings_is_shown_in_the_estimator_that_it_is_for(name, line):
    kind, _, short = name.partition(":")
    component = next(c for c in components(kind) if c.name == short)
    assert line in usage(component)[1]
