"""Third parties' plugins, really installed into an environment of their own."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


class Environment:
    """A virtual environment that sees the packages of this one, and has plugins of its own."""

    def __init__(self, folder):
        venv.create(folder, with_pip=False)
        scripts = folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = str(scripts / "python")
        self.folder = folder
        here = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
        theirs = Path(self.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip())
        lines = [f"import site; site.addsitedir({path!r})" for path in sorted(here)]  # editable installs too
        (theirs / "parent.pth").write_text("\n".join(lines))

    def run(self, *arguments, check=True, **variables):
        variables = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
        variables.pop("PYTHONWARNINGS", None)
        done = subprocess.run(
            [self.python, *map(str, arguments)],
            cwd=self.folder, env=variables, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def ask(self, name, **variables):
        """Return the answers to some questions."""
        return json.loads(self.run(HERE / "questions.py", name, **variables).stdout.splitlines()[-1])

    def pip(self, *arguments):
        """Run pip of this environment on that one."""
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", self.python, *arguments]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr

    def install(self, *folders):
        self.pip("install", "--no-deps", "--no-build-isolation", "--no-index", *folders)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment with a plugin that works and one that does not."""
    made = Environment(tmp_path_factory.mktemp("downstream") / "venv")
    made.install(HERE / "acme-healthy", HERE / "acme-broken")
    return made


@pytest.fixture(scope="module")
def answers(environment, tmp_path_factory):
    return environment.ask("healthy", ACME_TRACE=str(tmp_path_factory.mktemp("trace") / "imported"))


def test_a_plugin_is_found_through_its_entry_point(answers):
    assert answers["found"] == [
        "loss acme:acme_margin 0.1.0",
        "loss acme:acme_masked 0.1.0",
        "sampler acme:acme_turns 0.1.0",
    ]


def test_a_plugin_is_imported_at_the_first_look_up_and_not_before(answers):
    assert (answers["imported_early"], answers["imported"]) == (False, True)


def test_the_broken_one_is_warned_of_once_by_name_distribution_version_and_reason(answers):
    assert answers["warnings"] == [
        [
            "PluginWarning",
            "plugin 'broken' (acme-broken 0.1.0) was not loaded: No module named 'a_missing_dependency'",
        ]
    ]


def test_a_loss_trains_by_its_name_and_by_its_full_name(answers):
    assert answers["score"] > 0.9
    assert answers["same_by_full_name"]


def test_a_grid_over_its_parameter_runs_in_two_processes(answers):
    assert len(answers["grid"]) == 2
    assert min(answers["grid"]) > 0.8


def test_a_sampler_is_used_by_name(answers):
    assert answers["sampler"] > 0.9


def test_a_model_with_its_loss_is_saved_and_loaded(answers):
    assert answers["loaded"]


def test_a_fact_of_its_own_reaches_its_loss_through_fit(answers):
    assert answers["masked"] > 0.9 > 0.7 > answers["trusting"]


def test_a_missing_fact_says_how_to_give_it(answers):
    assert answers["without_mask"] == [
        "MissingFactError",
        "loss 'acme_masked' needs 'mask', an array with one row per sample: fit(X, y, mask=...)",
    ]


def test_the_command_line_shows_the_sound_and_the_broken_one(environment):
    done = environment.run("-m", "sklearnloss", "plugins", "--json")
    assert done.stderr == ""
    core, acme, broken = (p for p in json.loads(done.stdout) if p["name"] in ("core", "acme", "broken"))
    assert (core["name"], core["status"]) == ("core", "loaded")
    assert acme == {
        "name": "acme", "distribution": "acme-healthy", "version": "0.1.0", "status": "loaded", "components": 3,
        "reason": "",
    }  # fmt: skip
    assert broken == {
        "name": "broken", "distribution": "acme-broken", "version": "0.1.0", "status": "broken", "components": 0,
        "reason": "No module named 'a_missing_dependency'",
    }  # fmt: skip


def test_its_components_conform(environment):
    done = environment.run("-m", "sklearnloss", "check", "--plugin", "acme", check=False)
    assert done.returncode == 0, done.stdout
    assert re.fullmatch(r"3 components: \d\d checks passed, 0 failed", done.stdout.splitlines()[-1])
    assert done.stderr == (
        "warning: plugin 'broken' (acme-broken 0.1.0) was not loaded: No module named 'a_missing_dependency'\n"
    )


def test_a_disabled_plugin_is_not_imported(environment, tmp_path):
    answers = environment.ask("disabled", SKLEARNLOSS_DISABLE="acme, broken", ACME_TRACE=str(tmp_path / "imported"))
    assert (answers["status"], answers["reason"]) == ("disabled", "disabled by SKLEARNLOSS_DISABLE")
    assert not answers["imported"]
    kind, message = answers["short"]
    assert kind == "UnknownNameError"
    assert message.startswith("unknown loss 'acme_margin'")


def test_installing_and_uninstalling_change_the_names(environment, answers):
    assert answers["loaded"]  # and left a file
    environment.pip("uninstall", "--yes", "acme-healthy")
    environment.install(HERE / "acme-twin")
    try:
        answers = environment.ask("changed")
    finally:
        environment.pip("uninstall", "--yes", "acme-twin")
        environment.install(HERE / "acme-healthy")
    assert "acme" not in answers["plugins"]
    assert answers["acme"][0] == "UnknownNameError"
    assert answers["acme"][1].startswith("unknown loss 'acme_margin'")
    assert answers["acme"][1].endswith(f"({answers['losses']} are registered: sklearnloss list)")
    assert answers["load"] == [
        "LoadError",
        "'acme-model': this file needs plugin 'acme' (acme-healthy 0.1.0), which is not installed: pip install "
        "acme-healthy",
    ]
    assert answers["ldr"] == [
        "AmbiguousNameError",
        "loss 'ldr' is ambiguous: core:ldr, twin:ldr; write the full name",
    ]
    assert answers["core:ldr"] == pytest.approx([-0.691006], abs=1e-6)
    assert answers["twin:ldr"] == [-2.0]


def test_a_new_plugin_installs_and_passes_its_own_tests(environment, tmp_path):
    environment.run("-m", "sklearnloss", "new-plugin", "acme-lab", "--dir", tmp_path)
    environment.install(tmp_path / "sklearnloss-acme-lab")
    try:
        done = environment.run("-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path / "sklearnloss-acme-lab")
    finally:
        environment.pip("uninstall", "--yes", "sklearnloss-acme-lab")
    assert re.search(r"\d\d passed", done.stdout)
