"""``sklearnloss check``."""

import json
import warnings
from dataclasses import dataclass

import pytest

import sklearnloss.testing


@dataclass
class Check:
    name: str

    def run(self, component):
        if self.name == "warns":
            warnings.warn("noise", UserWarning, stacklevel=1)
        if self.name == "is_small" and component.name == "twice":
            raise AssertionError(f"*****\n{component.name} is large\nby far")
        if self.name == "is_found" and component.kind == "sampler":
            raise KeyError("lost")


@pytest.fixture
def checks(monkeypatch, three_plugins):
    """Three checks; ``twice`` fails one, a sampler another."""
    made = [Check("is_small"), Check("is_found"), Check("warns")]
    monkeypatch.setattr(sklearnloss.testing, "checks_for", lambda component: made, raising=False)


def test_a_real_component_conforms(run):
    result = run("check", "core:ldr", "--json")
    (ldr,) = json.loads(result.stdout)
    assert (result.exit_code, ldr["failed"]) == (0, [])
    assert ldr["passed"] > 10


@pytest.mark.usefixtures("checks")
class TestWithThreeChecks:
    def test_prints_a_line_per_component(self, run):
        result = run("check", "hug")
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.lines == ["core:hug  loss        3 passed", "1 component: 3 checks passed, 0 failed"]

    def test_prints_the_first_line_of_each_failure_and_exits_1(self, run):
        result = run("check", "--plugin", "acme")
        assert (result.exit_code, result.stderr) == (1, "")
        assert result.lines == [
            "acme:twice  loss        2 passed, 1 failed",
            "    is_small: twice is large",
            "acme:twice  sampler     1 passed, 2 failed",
            "    is_small: twice is large",
            "    is_found: KeyError: 'lost'",
            "2 components: 3 checks passed, 3 failed",
        ]

    def test_names_the_checks_if_asked(self, run):
        lines = run("check", "hug", "--verbose").lines
        assert lines[1:4] == ["    is_small: passed", "    is_found: passed", "    warns: passed"]

    def test_json_is_all_there_is_on_stdout(self, run):
        result = run("check", "sampler:twice", "--json")
        assert result.exit_code == 1
        assert json.loads(result.stdout) == [
            {
                "component": "acme:twice",
                "kind": "sampler",
                "checks": ["is_small", "is_found", "warns"],
                "passed": 1,
                "failed": [
                    {"check": "is_small", "error": "twice is large"},
                    {"check": "is_found", "error": "KeyError: 'lost'"},
                ],
            }
        ]

    def test_checks_everything_unless_told(self, run):
        assert [r["component"] for r in json.loads(run("check", "--json").stdout)] == [
            "core:hug", "core:learner", "core:prior", "core:twice", "acme:twice", "acme:twice",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["twise"], "unknown component 'twise'; did you mean 'twice'?"),
            (["--plugin", "bad"], "plugin 'bad' (sklearnloss-bad 0.1) was not loaded: No module named 'faiss'"),
            (
                ["hug", "--plugin", "core"],
                "give a name or --plugin, not both; PLUGIN:NAME is one of a plugin: core:hug",
            ),
        ],
    )
    def test_bad_usage_is_one_line_and_status_2(self, run, arguments, message):
        result = run("check", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith(f"error: {message}")
        assert result.stderr.count("\n") == 1
