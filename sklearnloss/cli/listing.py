"""``sklearnloss list``."""

from itertools import groupby
from typing import Annotated

import typer

from sklearnloss.cli.query import select

__all__ = ["list_components"]

HEADER = ("name", "task", "role", "unit", "plugin", "summary")
NARROW = ("unit", "plugin", "role", "task")  # what gives way on a narrow terminal


def list_components(
    kind: Annotated[str | None, typer.Argument(help="Only one kind: loss, sampler, ...")] = None,
    task: Annotated[str | None, typer.Option(help="Only losses for that task.")] = None,
    plugin: Annotated[str | None, typer.Option(help="Only those of that plugin.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print everything there is to know, as JSON.")] = False,
) -> None:
    """List the components: losses, samplers, optimizers, ..."""
    from sklearnloss.cli.records import record
    from sklearnloss.cli.show import console, plain, print_columns, print_json

    found = select(kind, task=task, plugin=plugin)
    if json:
        print_json([record(c) for c in found])
        return
    rows = [(c.kind, c.name, c.task, c.role, c.unit, c.plugin, plain(c.summary)) for c in found]
    out = console()
    if not rows:
        typer.echo("no component is like that", err=True)
    elif not out.is_terminal:  # a line is a component, whoever reads it
        print_columns(("kind", *HEADER), rows)
    else:
        for kind, group in groupby(rows, key=lambda row: row[0]):
            members = [row[1:] for row in group]
            out.print(f"{kind} ({len(members)})", style="bold cyan")
            print_columns(HEADER, members, droppable=NARROW, cut=True)
            out.print()
        out.print("sklearnloss info NAME tells more", style="dim")
