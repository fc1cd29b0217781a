"""``sklearnloss check``."""

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sklearnloss.cli.query import find, select
from sklearnloss.exceptions import SklearnLossError

if TYPE_CHECKING:
    from sklearnloss.component import Component

__all__ = ["check"]


def check(
    name: Annotated[str | None, typer.Argument(help="A component: NAME, KIND:NAME, PLUGIN:NAME.")] = None,
    plugin: Annotated[str | None, typer.Option(help="All components of that plugin.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name the checks.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run the conformance suite on a component, on a plugin, or on everything.

    The exit status is 1 if a check failed.
    """
    from sklearnloss.cli.show import print_json

    if name is not None and plugin is not None:
        raise SklearnLossError(f"give a name or --plugin, not both; PLUGIN:NAME is one of a plugin: {plugin}:{name}")
    components = select(plugin=plugin) if name is None else find(name)
    results = [_run(c, json=json, verbose=verbose, width=max(len(c.full_name) for c in components)) for c in components]
    failed = sum(len(r["failed"]) for r in results)
    if json:
        print_json(results)
    else:
        passed = sum(r["passed"] for r in results)
        typer.echo(f"{_count(len(results), 'component')}: {_count(passed, 'check')} passed, {failed} failed")
    raise typer.Exit(1 if failed else 0)


def _run(component: "Component", *, json: bool, verbose: bool, width: int) -> dict[str, Any]:
    """Run a component's checks, and say how they went unless the whole shall be JSON."""
    from sklearnloss.testing import checks_for

    checks = list(checks_for(component))
    failed = [{"check": c.name, "error": error} for c in checks if (error := _error(c, component))]
    passed = len(checks) - len(failed)
    names = [c.name for c in checks]
    if not json:
        _print(f"{component.full_name:<{width}}  {component.kind:<10}", passed, failed)
        for name in names if verbose else []:
            if name not in {f["check"] for f in failed}:
                typer.echo(f"    {name}: passed")
    return {
        "component": component.full_name,
        "kind": component.kind,
        "checks": names,
        "passed": passed,
        "failed": failed,
    }


def _error(check: Any, component: "Component") -> str:
    """Return the first line of what the check raised that has words, or nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check.run(component)
    except Exception as error:  # a stranger's component may raise anything
        lines = (line.strip() for line in str(error).splitlines())
        words = next((line for line in lines if any(c.isalnum() for c in line)), "")
        kind = "" if isinstance(error, AssertionError) and words else type(error).__name__
        return ": ".join(part for part in (kind, words) if part)
    return ""


def _print(who: str, passed: int, failed: Iterable[dict[str, str]]) -> None:
    failed = list(failed)
    typer.echo(f"{who}  {passed} passed", nl=False)
    typer.secho(f", {len(failed)} failed" if failed else "", fg="red")
    for failure in failed:
        typer.echo(f"    {failure['check']}: {failure['error']}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
