"""``sklearnloss new-plugin``."""

import re
import shlex
import shutil
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template
from typing import Annotated

import typer

import sklearnloss
from sklearnloss.exceptions import SklearnLossError

__all__ = ["new_plugin", "render"]

SUFFIX = ".tmpl"  # keeps linters and test runners away from the templates
# the kinds of components, and what else could not be told from a plugin
TAKEN = frozenset({*sklearnloss.__all__, "core", "local"})


def new_plugin(
    name: Annotated[str, typer.Argument(help="Name of the plugin, such as acme or acme-lab.")],
    dir: Annotated[Path, typer.Option(help="Folder to write into.")] = Path(),
) -> None:
    """Write a plugin with one loss, ready to install: sklearnloss-NAME."""
    check_name(name)
    target = dir / f"sklearnloss-{name}"
    rendered = render(name)
    write(target, rendered)
    place = shlex.quote(str(target))
    typer.echo(f"wrote {place}")
    for path in rendered:
        typer.echo(f"  {path}")
    typer.echo("next")
    for command in (f"pip install -e {place}", f"sklearnloss check --plugin {name}", f"python -m pytest {place}"):
        typer.echo(f"  {command}")


def check_name(name: str) -> None:
    """Refuse what could not name a distribution, a package and a plugin at once."""
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name):
        raise SklearnLossError(
            f"plugin name {name!r} must be lower-case letters, digits and single dashes, a letter first, "
            "such as acme or acme-lab"
        )
    if name in TAKEN:
        raise SklearnLossError(f"plugin name {name!r} is a word of sklearnloss; choose another")


def render(name: str) -> dict[str, str]:
    """Return the files of a plugin, text by path."""
    module = name.replace("-", "_")
    words = {"name": name, "package": f"sklearnloss_{module}"}
    found = _templates(files("sklearnloss.cli") / "template")
    texts = {path.replace("package/", f"{words['package']}/"): Template(t).substitute(words) for path, t in found}
    return dict(sorted(texts.items()))


def _templates(folder: Traversable, prefix: str = "") -> list[tuple[str, str]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _templates(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(SUFFIX):
            found.append((prefix + entry.name.removesuffix(SUFFIX), entry.read_text("utf-8")))
    return found


def write(target: Path, texts: dict[str, str]) -> None:
    """Write the files into a new folder, or nothing at all."""
    try:
        target.mkdir()
    except FileExistsError:
        raise SklearnLossError(f"{target} exists; nothing was written") from None
    except OSError as error:
        raise SklearnLossError(f"cannot make {target}: {error.strerror}") from None
    try:
        for path, text in texts.items():
            (target / path).parent.mkdir(exist_ok=True)
            (target / path).write_text(text, "utf-8")
    except OSError as error:
        shutil.rmtree(target, ignore_errors=True)
        raise SklearnLossError(f"cannot write into {target}: {error.strerror}; nothing was left there") from None
