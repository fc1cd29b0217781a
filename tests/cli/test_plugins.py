"""``sklearnloss plugins``."""

import json
import warnings

import pytest

from sklearnloss import registry
from sklearnloss.exceptions import PluginWarning


def test_the_core_is_a_plugin(run):
    core = json.loads(run("plugins", "--json").stdout)[0]
    assert (core["name"], core["distribution"], core["status"], core["reason"]) == ("core", "sklearnloss", "loaded", "")
    assert core["components"] == len(registry.plugins()[0].components) > 0


@pytest.mark.usefixtures("three_plugins")
class TestOnThreePlugins:
    def test_shows_status_and_reason(self, run):
        assert run("plugins").lines == [
            "name  distribution      version  status    components  reason",
            "core  sklearnloss       1.2      loaded    4",
            "acme  sklearnloss-acme  0.3      loaded    2",
            "bad   sklearnloss-bad   0.1      broken    0           No module named 'faiss'",
            "off   sklearnloss-off   0.1      disabled  0           disabled by SKLEARNLOSS_DISABLE",
        ]

    def test_json_has_the_same(self, run):
        assert json.loads(run("plugins", "--json").stdout)[2] == {
            "name": "bad",
            "distribution": "sklearnloss-bad",
            "version": "0.1",
            "status": "broken",
            "components": 0,
            "reason": "No module named 'faiss'",
        }

    def test_a_narrow_terminal_wraps_the_reason_and_cuts_nothing(self, run):
        lines = run("plugins", columns=60).lines
        assert all(len(line) <= 60 for line in lines)
        assert "SKLEARNLOSS_DISABLE" in "".join(lines)

    def test_a_broken_plugin_is_not_warned_of_as_well(self, run, monkeypatch):
        found = registry.load_plugins()

        def load():
            warnings.warn("plugin 'bad' was not loaded", PluginWarning, stacklevel=2)
            return found

        monkeypatch.setattr(registry, "load_plugins", load)
        result = run("plugins")
        assert (result.exit_code, result.stderr) == (0, "")
