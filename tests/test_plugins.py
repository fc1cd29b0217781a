"""Plugins: how they are found, and what a broken one costs."""

import sys
import warnings

import pytest

from sklearnloss import plugins
from sklearnloss.component import KINDS
from sklearnloss.exceptions import PluginWarning
from sklearnloss.plugins import load_plugins

SOUND = """
from sklearnloss import hookimpl, loss

@loss("{name}", task="multiclass", aliases={aliases})
def one(logits, y):
    return logits.sum(1)

@hookimpl
def sklearnloss_components():
    return [one]
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Lay a distribution beside the installed ones; what it imports is forgotten after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    laid = []

    def lay(name, source, *, distribution=None, version="0.1.0"):
        distribution = distribution or f"acme-{name}"
        module = f"module_of_{distribution.replace('-', '_')}"
        laid.append(module)
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[sklearnloss]\n{name} = {module}\n")

    yield lay
    for module in laid:
        sys.modules.pop(module, None)


def load(name):
    """Return the plugins of a name, and the warnings about them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = [p for p in load_plugins() if p.name == name]
    return found, [str(w.message) for w in caught if f"plugin {name!r}" in str(w.message)]


def test_the_core_comes_first_and_holds_every_kind_it_has():
    core = load_plugins()[0]
    assert (core.name, core.distribution, core.status, core.reason) == ("core", "sklearnloss", "loaded", "")
    assert {"loss", "reduction", "sampler", "optimizer"} <= {c.kind for c in core.components} <= set(KINDS)
    assert all(c.plugin == "core" and c.version == core.version for c in core.components)


def test_a_component_stands_in_the_module_that_defines_it_and_is_found_once():
    core = load_plugins()[0]
    keys = [(c.kind, key) for c in core.components for key in (c.name, *c.aliases)]
    assert len(keys) == len(set(keys))


def test_an_entry_point_is_found_with_name_distribution_and_version(install):
    install("tiny", SOUND.format(name="tiny_loss", aliases=["small"]), version="2.5")
    (tiny,), warned = load("tiny")
    assert (tiny.distribution, tiny.version, tiny.status, warned) == ("acme-tiny", "2.5", "loaded", [])
    assert [(c.full_name, c.version, c.aliases) for c in tiny.components] == [("tiny:tiny_loss", "2.5", ("small",))]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import a_missing_dependency", "No module named 'a_missing_dependency'"),
        ("from os import nothing_like_that", "cannot import name 'nothing_like_that' from 'os'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def f(:", "SyntaxError: invalid syntax"),
        ("pass", "TypeError: it has no function 'sklearnloss_components' marked with sklearnloss.hookimpl"),
        (
            "from sklearnloss import hookimpl\n@hookimpl\ndef sklearnloss_components(): return [len]",
            "TypeError: <built-in function len> is no component; mark it with a decorator such as sklearnloss.loss",
        ),
        (
            "from sklearnloss import hookimpl\n@hookimpl\ndef sklearnloss_components(): raise OSError('no disk')",
            "OSError: no disk",
        ),
        (
            "from sklearnloss import loss\n@loss('bad', task='any')\ndef bad(logit, y): pass",
            "ComponentError: loss 'bad': the first argument 'logit' must be one of ",
        ),
        (
            SOUND.format(name="tiny_loss", aliases=["tiny_loss"]),
            "ValueError: it has two of the name loss 'tiny_loss'",
        ),
        ("SKLEARNLOSS_API_VERSION = 99", "it needs version 99 of the plugin interface, this is 1"),
    ],
)
def test_a_broken_plugin_costs_only_itself_and_is_warned_of_once(install, source, reason):
    install("bad", source)
    install("good", SOUND.format(name="good_loss", aliases=[]))
    (bad,), warned = load("bad")
    assert bad.status == "broken"
    assert bad.components == ()
    assert bad.reason.startswith(reason)
    assert warned == [f"plugin 'bad' (acme-bad 0.1.0) was not loaded: {bad.reason}"]
    (good,), warned = load("good")
    assert (good.status, warned) == ("loaded", [])


def test_the_warning_is_a_plugin_warning(install):
    install("bad", "import a_missing_dependency")
    with pytest.warns(PluginWarning, match="^plugin 'bad'"):
        load_plugins()


def test_a_disabled_plugin_is_neither_imported_nor_warned_of(install, monkeypatch):
    install("bad", "raise SystemExit('imported')")
    monkeypatch.setenv("SKLEARNLOSS_DISABLE", "other, bad")
    (bad,), warned = load("bad")
    assert (bad.status, bad.reason, warned) == ("disabled", "disabled by SKLEARNLOSS_DISABLE", [])


def test_of_two_plugins_of_a_name_the_second_is_refused(install):
    install("tiny", SOUND.format(name="one_loss", aliases=[]), distribution="acme-one")
    install("tiny", SOUND.format(name="two_loss", aliases=[]), distribution="acme-two")
    (one, two), warned = load("tiny")
    assert (one.distribution, one.status) == ("acme-one", "loaded")
    assert (two.distribution, two.status, two.components) == ("acme-two", "broken", ())
    assert warned == ["plugin 'tiny' (acme-two 0.1.0) was not loaded: another plugin is called 'tiny'"]


def test_no_plugin_takes_the_name_of_the_core(install):
    install("core", SOUND.format(name="mine", aliases=[]), distribution="acme-core")
    (core, other), warned = load("core")
    assert (core.distribution, other.status) == ("sklearnloss", "broken")
    assert warned == ["plugin 'core' (acme-core 0.1.0) was not loaded: another plugin is called 'core'"]


def test_the_group_is_that_of_the_documentation():
    assert plugins.GROUP == "sklearnloss"
