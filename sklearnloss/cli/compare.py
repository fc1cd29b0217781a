"""``sklearnloss compare``."""

import os
import warnings
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sklearnloss.exceptions import SklearnLossError

if TYPE_CHECKING:
    from sklearnloss.comparison.result import Comparison
    from sklearnloss.comparison.tables import Table

__all__ = ["compare", "stem"]

ENDINGS = frozenset({".csv", ".tsv", ".txt", ".parquet", ".gz", ".bz2", ".xz", ".zip"})


def compare(
    data: Annotated[
        str, typer.Argument(help="A CSV or Parquet file, or one of scikit-learn's sets: iris, digits, ...")
    ],
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            "-t",
            help="Column to predict; several, with commas, are labels, or with --bags shares of classes.",
        ),
    ] = None,
    bags: Annotated[
        str | None,
        typer.Option(
            help="Column with the bag of each row, where proportions of classes in bags are all that is known. The "
            "target is then the share of the positive class or of each class, the same on all rows of a bag."
        ),
    ] = None,
    losses: Annotated[
        str | None,
        typer.Option(
            "--losses",
            "-l",
            help="Names with commas, a grid file (.toml, .json), suggested, or all. Default: all that apply.",
        ),
    ] = None,
    task: Annotated[
        str,
        typer.Option(
            help="embedding: losses that put rows of a class near each other, judged by retrieval. llp: losses of "
            "bags, judged by their proportions; the default with --bags. Else the default is what the target says: "
            "binary, multiclass or multilabel."
        ),
    ] = "auto",
    scoring: Annotated[
        str | None,
        typer.Option(
            help="Scorers of scikit-learn, or map_at_r, recall_at_5, ..., or bag_kl, ...; with commas, the first ranks."
        ),
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="Loss that the others are tested against.")] = None,
    folds: Annotated[int, typer.Option("--folds", "-k", help="Folds of cross-validation.")] = 5,
    repeats: Annotated[
        int | None, typer.Option(help="Repeats, each with other folds and another seed. Default: 2.")
    ] = None,
    group: Annotated[str | None, typer.Option(help="Column whose rows stay on one side of a split.")] = None,
    time: Annotated[
        str | None, typer.Option(help="Column to order rows by: train on the past, judge by the future.")
    ] = None,
    drop: Annotated[str | None, typer.Option(help="Columns to leave out, with commas.")] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs of each fit. Default: about 4,000 steps, 10 to 100.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", "-b", help="Begin no fit after that: 90s, 10m, 1h30m.")
    ] = None,
    rope: Annotated[
        float | None, typer.Option(help="Scores closer than this do not matter. Default: 0.01, of bag_kl 0.001.")
    ] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="Fits side by side. Default: one per core.")] = None,
    seed: Annotated[int, typer.Option(help="Of folds, weights and batches.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of results. Default: compare-NAME here.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Compare losses on your data, and write a report.

    Every loss is trained on the same splits with the same seeds. Results are kept as they come: the same command goes
    on where it was stopped.
    """
    from sklearnloss.cli.query import load
    from sklearnloss.exceptions import ComparisonInterrupted

    load()
    from sklearnloss.comparison.protocols import check_task
    from sklearnloss.comparison.tables import load_table

    check_task(task, bagged=bags is not None)
    table = load_table(data, target, bags=bags, group=group, time=time, drop=drop or ())
    arguments = {
        "losses": _losses(losses),
        "task": task,
        "cv": folds,
        "repeats": repeats,
        "scoring": _listed(scoring),
        "baseline": baseline,
        "rope": rope,
        "budget": budget,
        "n_jobs": jobs if jobs is not None else _cores(),
        "random_state": seed,
        "progress": True,
    }
    try:
        result, folder = _kept(table, out, epochs, arguments)
        code = 0
    except ComparisonInterrupted as stopped:
        typer.echo(f"stopped {stopped}", err=True)
        result, folder, code = stopped.result, stopped.folder, 130
    _show(result, folder, json=json)
    raise typer.Exit(code if code or result.scores or not result.finished else 1)


def _kept(table: "Table", out: Path | None, epochs: int | None, arguments: dict[str, Any]) -> "tuple[Comparison, Path]":
    """Compare, and return the folder too: the user's, or the first of ours that holds no other comparison."""
    from sklearnloss.comparison.store import OtherComparisonError

    for number in count(1):
        folder = out if out is not None else Path(f"compare-{stem(table.name)}{'' if number == 1 else f'-{number}'}")
        try:
            return _run(table, folder, epochs, arguments), folder
        except OtherComparisonError:
            if out is not None:
                raise
    raise AssertionError("there is always another number")


def stem(name: str) -> str:
    """Return the name of a table without the endings of files.

    Examples
    --------
    >>> stem("sales.2024.csv.gz"), stem("digits")
    ('sales.2024', 'digits')
    """
    base, ending = Path(name).stem, Path(name).suffix
    return stem(base) if ending in ENDINGS else name


def _run(table: "Table", folder: Path, epochs: int | None, arguments: dict[str, Any]) -> "Comparison":
    from sklearnloss import compare as run
    from sklearnloss.comparison.given import read_target
    from sklearnloss.comparison.protocols import find_protocol

    if epochs is not None:
        if epochs < 1:
            raise SklearnLossError(f"--epochs must be an int in [1, inf), got {epochs}")
        protocol = find_protocol(arguments["task"], read_target(table.y, table.bags).values)
        arguments = arguments | {"estimator": protocol.estimator(max_epochs=epochs)}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the budget ended")  # said below the table
        return run(
            table.X,
            table.y,
            bags=table.bags,
            groups=table.groups,
            times=table.times,
            store=folder,
            name=table.name,
            source=table.code(),
            **arguments,
        )


def _losses(text: str | None) -> Any:
    """Return what ``--losses`` says: nothing, a word for many, a grid, or names."""
    from sklearnloss.comparison.candidates import read_grid

    if text in (None, "all", "suggested"):
        return text
    if text.endswith((".toml", ".json")):
        return read_grid(Path(text))
    return _listed(text)


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _show(result: "Comparison", folder: Path, *, json: bool) -> None:
    """Print the table, or JSON; write the report and the numbers beside the fits."""
    from sklearnloss.cli.show import console

    out = console()
    typer.echo(result.to_json() if json else result.to_text(out.width if out.is_terminal else None))
    result.to_json(folder / "result.json")
    report = result.report(folder / "report.html")
    if not result.finished:
        typer.echo("not finished: the same command goes on from here", err=True)
    if not json:
        typer.echo(f"report: {report}")
