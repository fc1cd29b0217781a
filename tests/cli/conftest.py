"""Fixtures of the command line's tests."""

import re
from typing import Literal

import pytest
import torch
from typer.testing import CliRunner

from sklearnloss import loss, registry, sampler
from sklearnloss.cli.app import app
from sklearnloss.constraints import Positive
from sklearnloss.plugins import Plugin


@pytest.fixture
def run():
    """Run a command; ``columns=80`` is a terminal of that width, None a pipe."""

    def invoke(*arguments, columns=None):
        env = {"FORCE_COLOR": None, "NO_COLOR": None, "COLUMNS": None}
        if columns is not None:
            env |= {"FORCE_COLOR": "1", "COLUMNS": str(columns), "TERM": "xterm"}
        result = CliRunner().invoke(app, [str(a) for a in arguments], env=env, catch_exceptions=False)
        result.lines = re.sub("\x1b\\[[0-9;]*m", "", result.stdout).splitlines()
        return result

    return invoke


@loss("twice", task="multiclass", link="none", status="guess", aliases=["double"])
def twice(logits, y, *, tau: float = float("inf"), form: Literal["a", "b"] = "a", index, teacher=None):
    """Twice the gap [0, inf) between ``logits`` and nothing :tada: whatsoever, which needs a long line to be told.

    Parameters
    ----------
    tau : float, default=inf
        A temperature, see [1]_ on ``tau``.
    """
    return 2 * logits.sum(1)


@loss("twice", task="regression", target="raw")
def other_twice(prediction, y, *, teacher):
    """Twice the error."""
    return 2 * (prediction - y).abs()


@loss("prior", task="any", unit="batch")
def prior(*, weight: Positive = 1.0):
    """Pull of nothing at all."""
    return torch.zeros(())


@loss("hug", task="embedding", unit="anchor", sampler="twice")
def hug(embeddings, y, *, margin: Positive = 0.5):
    """Pull of friends."""
    return embeddings.sum(1)


@loss("learner", task="binary", proper=True, gradient="surrogate", static=False, ordered=True, monitor=False)
class Learner(torch.nn.Module):
    """A loss that keeps a state."""

    def __init__(self, *, n_samples, gamma: Positive = 2.0):
        super().__init__()

    def forward(self, scores, y, *, index):
        return scores


@sampler("twice")
def twice_sampler(y, *, batch_size, rng):
    """Every row twice."""
    yield from ()


@pytest.fixture
def three_plugins(monkeypatch):
    """A registry with two loaded plugins, both with a loss ``twice``, and a broken and a disabled one."""

    def owned(plugin, *objects):
        return tuple(obj.component.owned_by(plugin, "1.2") for obj in objects)

    found = [
        Plugin("core", "sklearnloss", "1.2", owned("core", twice, prior, hug, Learner)),
        Plugin("acme", "sklearnloss-acme", "0.3", owned("acme", other_twice, twice_sampler)),
        Plugin("bad", "sklearnloss-bad", "0.1", reason="No module named 'faiss'"),
        Plugin("off", "sklearnloss-off", "0.1", reason="disabled by SKLEARNLOSS_DISABLE"),
    ]
    monkeypatch.setattr(registry, "registry", registry.Registry())
    monkeypatch.setattr(registry, "load_plugins", lambda: found)
