"""``sklearnloss list``."""

import json
from itertools import pairwise

import pytest

from sklearnloss import components


def test_gives_every_component_a_line_in_a_pipe(run):
    result = run("list")
    assert result.exit_code == 0
    assert result.lines[0].split() == ["kind", "name", "task", "role", "unit", "plugin", "summary"]
    assert [tuple(line.split()[:2]) for line in result.lines[1:]] == [(c.kind, c.name) for c in components()]
    assert not any(line.endswith(" ") for line in result.lines)


def test_json_has_a_record_of_every_component(run):
    records = json.loads(run("list", "--json").stdout)
    assert [(r["kind"], r["full_name"]) for r in records] == [(c.kind, c.full_name) for c in components()]


def test_json_says_of_a_metric_which_way_is_better(run):
    better = {r["name"]: r["greater_is_better"] for r in json.loads(run("list", "metric", "--json").stdout)}
    assert better["map_at_r"]
    assert not better["eer"]
    assert not better["ece"]


@pytest.mark.usefixtures("three_plugins")
class TestOnThreePlugins:
    @pytest.mark.parametrize(
        ("arguments", "names"),
        [
            ([], ["core:hug", "core:learner", "core:prior", "core:twice", "acme:twice", "acme:twice"]),
            (["loss"], ["core:hug", "core:learner", "core:prior", "core:twice", "acme:twice"]),
            (["sampler"], ["acme:twice"]),
            (["--plugin", "acme"], ["acme:twice", "acme:twice"]),
            (["loss", "--plugin", "acme", "--task", "regression"], ["acme:twice"]),
            (["--task", "embedding"], ["core:hug"]),
            (["miner"], []),
        ],
    )
    def test_kind_task_and_plugin_narrow_the_list(self, run, arguments, names):
        assert [r["full_name"] for r in json.loads(run("list", *arguments, "--json").stdout)] == names

    def test_an_empty_list_says_so_on_stderr(self, run):
        result = run("list", "miner")
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no component is like that\n")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--task", "multiclas"], "unknown task 'multiclas'; did you mean 'multiclass'? (any, binary, embedding, "),
            (["--plugin", "acm"], "unknown plugin 'acm'; did you mean 'acme'? (sklearnloss plugins)\n"),
            (["--plugin", "bad"], "plugin 'bad' (sklearnloss-bad 0.1) was not loaded: No module named 'faiss'\n"),
            (
                ["--plugin", "off"],
                "plugin 'off' (sklearnloss-off 0.1) was not loaded: disabled by SKLEARNLOSS_DISABLE\n",
            ),
            (["losses"], "unknown kind 'losses'; did you mean 'loss'?"),
        ],
    )
    def test_what_is_unknown_is_one_line_and_status_2(self, run, arguments, message):
        result = run("list", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith(f"error: {message}")
        assert result.stderr.count("\n") == 1

    def test_a_terminal_shows_the_kinds_apart(self, run):
        lines = run("list", columns=140).lines
        assert lines[0] == "loss (5)"
        assert lines[1].split() == ["name", "task", "role", "unit", "plugin", "summary"]
        assert "sampler (1)" in lines
        assert lines[lines.index("sampler (1)") + 1].split() == ["name", "role", "plugin", "summary"]

    @pytest.mark.parametrize("columns", [140, 80, 60, 40])
    def test_a_narrow_terminal_cuts_summaries_and_never_names(self, run, columns):
        lines = run("list", "loss", columns=columns).lines
        assert all(len(line) <= columns for line in lines)
        assert [line.split()[0] for line in lines[2:7]] == ["hug", "learner", "prior", "twice", "twice"]
        assert ("…" in lines[5]) == (columns < 140 or len(lines[5]) == 140)

    def test_columns_give_way_in_their_order(self, run):
        headers = [run("list", "loss", columns=width).lines[1].split() for width in (100, 80, 72, 62, 40)]
        assert headers[0] == ["name", "task", "role", "unit", "plugin", "summary"]
        assert headers[-1] == ["name", "summary"]
        assert all(set(less) <= set(more) for more, less in pairwise(headers))

    def test_brackets_and_colons_of_a_summary_are_printed_as_they_are(self, run):
        assert "Twice the gap [0, inf) between logits and nothing :tada: whatsoever" in run("list", "loss").stdout
