"""Which losses are compared."""

import json

import numpy as np
import pytest

from sklearnloss import Loss, LossClassifier
from sklearnloss.comparison.candidates import find_candidates, name_of, read_grid
from sklearnloss.comparison.engine import fit_key
from sklearnloss.comparison.protocols import PROTOCOLS
from sklearnloss.exceptions import (
    DataError,
    MissingFactError,
    ParameterError,
    SklearnLossError,
    TaskError,
    UnknownNameError,
)

TARGETS = {
    "binary": np.array([0, 1, 0, 1]),
    "multiclass": np.array(["a", "b", "c", "a"]),
    "multilabel": np.array([[0, 1], [1, 1], [0, 0], [1, 0]]),
}


def find(losses, task="multiclass", row_facts=()):
    protocol, y = PROTOCOLS[task], TARGETS[task]
    return find_candidates(losses, protocol, lambda spec: protocol.check(spec, y, LossClassifier(), row_facts))


def names(losses, *more, **options):
    return [c.name for c in find(losses, *more, **options)]


@pytest.mark.parametrize(
    ("task", "first", "there", "absent"),
    [
        ("multiclass", "cross_entropy", {"ldr", "gce", "focal"}, {"bce", "asl", "supcon", "kd"}),
        ("binary", "cross_entropy", {"ldr", "aucm", "bce"}, {"asl", "supcon", "kd"}),
        ("multilabel", "bce", {"asl", "aucm"}, {"ldr", "cross_entropy", "supcon"}),
    ],
)
def test_without_names_every_loss_that_applies_is_there_the_baseline_first(task, first, there, absent):
    found = names(None, task)
    assert found[0] == first
    assert there <= set(found)
    assert not absent & set(found)


def test_a_loss_that_needs_what_is_given_applies():
    assert "kd" in names(None, row_facts=["teacher"])
    with pytest.raises(MissingFactError, match="loss 'kd' needs 'teacher'"):
        find(["kd"])


def test_all_adds_losses_whose_formula_is_a_guess(monkeypatch):
    from sklearnloss import loss, registry

    @loss("guessed", task="multiclass", status="guess")
    def guessed(logits, y):
        """Guess."""
        return logits.sum(1)

    monkeypatch.setattr(registry.registry, "components", lambda kind=None: [guessed.component])
    monkeypatch.setattr("sklearnloss.comparison.candidates.short_name", lambda c: c.obj)
    monkeypatch.setattr(registry.registry, "lookup", lambda kind, name: guessed.component)
    assert (names(None), names("all")) == ([], ["guessed"])


def test_names_specs_functions_and_names_of_ones_own():
    def mine(logits, y):
        return logits.sum(1)

    assert names(["ldr", Loss("gce", q=0.4), mine, {"spec": "focal", "gamma": 1.0}]) == [
        "ldr", "gce(q=0.4)", "mine", "focal(gamma=1.0)",
    ]  # fmt: skip
    assert names({"best of mine": mine, "gce": {"q": [0.4, 0.7]}, "ldr": {}}) == [
        "best of mine", "gce(q=0.4)", "gce(q=0.7)", "ldr",
    ]  # fmt: skip
    assert names("ldr") == ["ldr"]


def test_a_grid_is_every_combination():
    assert names({"ldr": {"lam": [0.5, 2.0], "margin": [0.1, 1.0]}}) == [
        f"ldr(lam={lam}, margin={margin})" for lam in (0.5, 2.0) for margin in (0.1, 1.0)
    ]


def test_a_sum_is_told_by_its_terms():
    assert name_of(Loss("cross_entropy") + 0.1 * Loss("supcon", tau=0.2)) == "cross_entropy + 0.1 * supcon(tau=0.2)"


@pytest.mark.parametrize(
    ("losses", "error", "message"),
    [
        (["lrd"], UnknownNameError, "unknown loss 'lrd'; did you mean 'ldr'"),
        (["aucm"], TaskError, "Only binary classification is supported"),
        (["supcon"], TaskError, "makes no prediction"),
        (["asl"], TaskError, "not several labels per row"),
        ([Loss("gce", q=7.0)], ParameterError, "q must be"),
        ({"gce": {"p": [0.4]}}, ParameterError, "loss 'gce' has no parameter 'p'; it has"),
        ({"gce": {"q": 0.4}}, DataError, "grid of 'gce' must give a list of values"),
        (["ldr", "ldr"], DataError, "losses holds 'ldr' twice"),
        ([], DataError, "losses is empty"),
    ],
)
def test_what_does_not_exist_or_does_not_fit_is_refused_before_any_fit(losses, error, message):
    with pytest.raises(error, match=message):
        find(losses)


def test_results_are_kept_by_what_decides_them():
    def first(logits, y):
        return logits.sum(1)

    def second(logits, y):
        return logits.mean(1)

    model = LossClassifier()
    keys = [fit_key(model, spec) for spec in ("gce", Loss("gce", q=0.4), first, second)]
    assert len(set(keys)) == 4
    assert fit_key(LossClassifier(), "gce") == keys[0]
    assert fit_key(LossClassifier(lr=0.1), "gce") != keys[0]


def test_whether_probabilities_are_meant():
    proper = {
        c.name: c.proper for c in find({"a": "cross_entropy", "b": "focal", "c": Loss("cross_entropy") + "focal"})
    }
    assert proper == {"a": True, "b": False, "c": False}


def test_a_grid_file_is_toml_or_json(tmp_path):
    (tmp_path / "grid.toml").write_text("cross_entropy = {}\n[gce]\nq = [0.4, 0.7]\n[ldr]\nlam = 2.0\n")
    (tmp_path / "grid.json").write_text(
        json.dumps({"cross_entropy": {}, "gce": {"q": [0.4, 0.7]}, "ldr": {"lam": 2.0}})
    )
    grid = {"cross_entropy": {}, "gce": {"q": [0.4, 0.7]}, "ldr": {"lam": [2.0]}}
    assert read_grid(tmp_path / "grid.toml") == read_grid(tmp_path / "grid.json") == grid
    assert names(grid) == ["cross_entropy", "gce(q=0.4)", "gce(q=0.7)", "ldr(lam=2.0)"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("grid.yaml", b"", "is a .toml or .json file, got 'grid.yaml'"),
        ("none.toml", None, "does not exist"),
        ("grid.toml", b"[gce", "is not TOML"),
        ("grid.json", b"{", "is not JSON"),
        ("grid.json", b"\xff\xfe", "is not JSON"),
        ("grid.json", b"[1]", "must hold a table for each loss"),
        ("grid.toml", b"gce = 1", "must hold a table for each loss"),
    ],
)
def test_a_grid_file_that_is_none_is_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SklearnLossError, match=message):
        read_grid(tmp_path / name)
