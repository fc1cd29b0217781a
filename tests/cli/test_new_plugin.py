"""``sklearnloss new-plugin``."""

import tomllib
from pathlib import Path

import pytest

from sklearnloss.cli import new_plugin
from sklearnloss.cli.new_plugin import render
from sklearnloss.component import KINDS

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "plugins" / "sklearnloss-example"


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_example_plugin_is_what_the_command_writes():
    assert files(EXAMPLE) == render("example")


def test_writes_a_distribution_and_says_what_to_do_next(run, tmp_path):
    result = run("new-plugin", "acme-lab", "--dir", tmp_path)
    target = tmp_path / "sklearnloss-acme-lab"
    assert (result.exit_code, result.stderr) == (0, "")
    assert files(target) == render("acme-lab")
    assert result.lines == [
        f"wrote {target}",
        "  README.md",
        "  pyproject.toml",
        "  sklearnloss_acme_lab/__init__.py",
        "  tests/test_cauchy_margin.py",
        "  tests/test_conformance.py",
        "next",
        f"  pip install -e {target}",
        "  sklearnloss check --plugin acme-lab",
        f"  python -m pytest {target}",
    ]


def test_what_it_writes_names_the_plugin_everywhere():
    texts = render("acme-lab")
    project = tomllib.loads(texts["pyproject.toml"])["project"]
    assert project["name"] == "sklearnloss-acme-lab"
    assert project["entry-points"]["sklearnloss"] == {"acme-lab": "sklearnloss_acme_lab"}
    assert '@parametrize_components(plugin="acme-lab")' in texts["tests/test_conformance.py"]
    assert "from sklearnloss_acme_lab import cauchy_margin" in texts["tests/test_cauchy_margin.py"]
    assert not any("example" in text.replace("Examples", "") for text in texts.values())
    for path, text in texts.items():
        if path.endswith(".py"):
            compile(text, path, "exec")


@pytest.mark.parametrize("name", ["acme", "a", "acme2", "acme-lab", "acme_lab"])
def test_takes_lower_case_names_with_dashes(run, tmp_path, name):
    assert run("new-plugin", name, "--dir", tmp_path).exit_code == 0


@pytest.mark.parametrize("name", ["Acme", "2acme", "acme lab", "acme--lab", "acme-", "a.b", "a/b", "../a", "", "é"])
def test_refuses_a_name_that_names_nothing(run, tmp_path, name):
    result = run("new-plugin", name, "--dir", tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: plugin name {name!r} must be lower-case letters, digits and single dashes")
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["core", "local", *KINDS])
def test_refuses_a_name_that_means_something_else(run, tmp_path, name):
    result = run("new-plugin", name, "--dir", tmp_path)
    assert result.exit_code == 2
    assert result.stderr == f"error: plugin name {name!r} is a word of sklearnloss; choose another\n"


def test_leaves_an_existing_folder_as_it_is(run, tmp_path):
    target = tmp_path / "sklearnloss-acme"
    target.mkdir()
    (target / "README.md").write_text("mine")
    result = run("new-plugin", "acme", "--dir", tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: {target} exists; nothing was written\n"
    assert files(target) == {"README.md": "mine"}


@pytest.mark.parametrize("place", ["missing", "file"])
def test_says_why_it_cannot_write(run, tmp_path, place):
    (tmp_path / "file").write_text("")
    result = run("new-plugin", "acme", "--dir", tmp_path / place)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: cannot make {tmp_path / place / 'sklearnloss-acme'}: ")
    assert result.stderr.count("\n") == 1


def test_leaves_nothing_behind_when_it_breaks_off(run, tmp_path, monkeypatch):
    texts = render("acme")
    monkeypatch.setattr(new_plugin, "render", lambda name: texts | {"README.md/no": "folder"})
    result = run("new-plugin", "acme", "--dir", tmp_path)
    assert result.exit_code == 2
    assert result.stderr.endswith("; nothing was left there\n")
    assert list(tmp_path.iterdir()) == []
