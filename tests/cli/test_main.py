"""The command line as a process, and what it says when something is wrong."""

import os
import subprocess
import sys
import warnings

import pytest

import sklearnloss
from sklearnloss import registry
from sklearnloss.exceptions import PluginWarning

COMMANDS = ["list", "info", "plugins", "check", "new-plugin"]


def python(*arguments, env=None):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120, env=env)


def test_help_imports_neither_torch_nor_sklearn():
    code = (
        "import sys; sys.argv = ['sklearnloss', *sys.argv[1:]]\n"
        "from sklearnloss.cli import main\n"
        "try: main()\n"
        "finally: print({'torch', 'sklearn', 'numpy'} & set(sys.modules), file=sys.stderr)"
    )
    for arguments in (["--help"], ["--version"], ["list", "--help"], ["check", "--help"]):
        done = python("-c", code, *arguments)
        assert (done.returncode, done.stderr) == (0, "set()\n"), arguments


def test_help_names_every_command(run):
    result = run("--help")
    assert result.exit_code == 0
    assert all(command in result.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run, command):
    assert run(command, "--help").exit_code == 0


def test_runs_as_a_module_too():
    done = python("-m", "sklearnloss", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"sklearnloss {sklearnloss.__version__}\n", "")


def test_an_unknown_name_is_one_line_on_stderr_and_status_2():
    done = python("-m", "sklearnloss", "info", "lrd")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: unknown component 'lrd'; did you mean 'ldr'? (sklearnloss list)\n"


def test_a_terminal_without_a_sign_shows_another_one():
    env = os.environ | {"PYTHONIOENCODING": "ascii", "FORCE_COLOR": "1", "COLUMNS": "50"}
    done = python("-m", "sklearnloss", "list", "loss", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "cross_entropy" in done.stdout


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_it_says_how_to_install_it(missing):
    code = f"import sys; sys.modules[{missing!r}] = None; from sklearnloss.cli import main; main()"
    done = python("-c", code)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f'the command line needs {missing}: pip install "sklearnloss[cli]"\n'


@pytest.mark.parametrize("arguments", [["lst"], ["list", "--jsn"], ["info"], ["list", "loss", "ldr"]])
def test_bad_usage_is_status_2(run, arguments):
    assert run(*arguments).exit_code == 2


def test_a_plugin_that_was_not_loaded_is_one_line_on_stderr(run, monkeypatch):
    loaded = registry.load_plugins()

    def load():
        warnings.warn("plugin 'bad' (acme-bad 0.1.0) was not loaded: a\nreason", PluginWarning, stacklevel=2)
        return loaded

    monkeypatch.setattr(registry, "load_plugins", load)
    monkeypatch.setattr(registry, "registry", registry.Registry())
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        result = run("list", "sampler")
    assert result.exit_code == 0
    assert result.stderr == "warning: plugin 'bad' (acme-bad 0.1.0) was not loaded: a reason\n"


def test_warnings_look_as_before_when_a_command_is_done(run):
    before = warnings.showwarning
    run("plugins")
    run("info", "nothing_of_that_name")
    assert warnings.showwarning is before


def test_what_a_plugin_prints_at_its_import_is_not_in_the_json(run, monkeypatch):
    loaded = registry.load_plugins()

    def load():
        print("hello from acme")
        return loaded

    monkeypatch.setattr(registry, "load_plugins", load)
    monkeypatch.setattr(registry, "registry", registry.Registry())
    result = run("plugins", "--json")
    assert result.stdout.startswith("[")
    assert result.stderr == "hello from acme\n"
