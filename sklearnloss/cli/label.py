"""``sklearnloss label``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sklearnloss.exceptions import DataError

if TYPE_CHECKING:
    from sklearnloss.labeling.session import Session

__all__ = ["label"]


def label(
    data: Annotated[Path, typer.Argument(help="A CSV or Parquet file.")],
    target: Annotated[str, typer.Option("--target", "-t", help="Column of the labels; a new one if it is not there.")],
    classes: Annotated[
        str | None, typer.Option("--classes", "-c", help="Labels to offer, with commas; those in the column are.")
    ] = None,
    strategy: Annotated[str, typer.Option(help="Which rows first: sklearnloss list strategy.")] = "margin",
    loss: Annotated[str, typer.Option(help="What the model behind is trained by.")] = "cross_entropy",
    drop: Annotated[str | None, typer.Option(help="Columns that the model does not look at, with commas.")] = None,
    answers: Annotated[
        Path | None, typer.Option(help="File of the answers. Default: DATA.labels.jsonl beside the data.")
    ] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write the table with all labels so far to this CSV or Parquet file, and leave.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the model and of ties.")] = 0,
) -> None:
    """Label rows by hand, the most useful first.

    Every answer is on the disk before the next question; the same command goes on. A model learns beside, says what it
    thinks of each row, and chooses what comes next.
    """
    from sklearnloss.cli.query import load

    load()
    frame, known, left = _read(data, target, drop)
    offered = [name.strip() for name in (classes or "").split(",") if name.strip()]
    place = data.with_name(f"{data.name}.labels.jsonl") if answers is None else answers
    if export is not None and not place.exists() and all(v is None for v in known):
        raise DataError(f"there is nothing to export: no row has a label, and there is no file {str(place)!r}")
    from sklearnloss.labeling.session import Session

    session = Session(
        frame.drop(columns=[name for name in frame.columns if name == target]),
        known,
        path=place,
        target=target,
        classes=offered,
        strategy=strategy,
        loss=loss,
        drop=left,
        random_state=seed,
    )
    try:
        if export is not None:
            _export(frame, target, session.labels(), export)
            typer.echo(f"{session.progress().labeled} of {session.rows} rows have a label: {export}")
            return
        _ask(session)
        now = session.progress()
        typer.echo(f"{now.labeled} of {now.rows} rows have a label; answers: {place}")
        typer.echo(f"write the table: sklearnloss label {data} --target {target} --export labeled{data.suffix}")
    finally:
        session.close()


def _ask(session: "Session") -> None:
    try:
        from sklearnloss.labeling.terminal import ask_all
    except ImportError as error:
        raise ImportError('the session needs rich: pip install "sklearnloss[cli]"') from error
    try:
        ask_all(session)
    except KeyboardInterrupt:
        typer.echo("")


def _read(path: Path, target: str, drop: str | None) -> tuple[Any, list[str | None], list[str]]:
    """Return the table, its labels as texts, and the columns that the model does not look at."""
    from sklearnloss.comparison.columns import find_columns, read_texts
    from sklearnloss.comparison.reading import read_file

    frame, separator = read_file(path.expanduser(), separator=None, others=())
    if not len(frame):
        raise DataError(f"{path.name!r} has no rows")
    typed, _ = read_texts(frame, separator=separator) if separator else (frame, {})
    typed.columns = [str(name) for name in typed.columns]
    left = find_columns(drop, list(typed.columns), role="drop", who=repr(path.name)) if drop else []
    if target in left:
        raise DataError(f"{target!r} is the target, it cannot be dropped")
    if typed.columns.tolist() == [target]:
        raise DataError(f"{path.name!r} has no column beside {target!r}")
    known: list[str | None] = [None] * len(typed)
    if target in typed.columns:
        known = [None if value is None or value != value else _named(value) for value in typed[target].tolist()]
    return typed, known, left


def _named(value: Any) -> str:
    """Return a label as a text: a whole number without its point."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _export(frame: Any, target: str, labels: list[str | None], path: Path) -> None:
    from sklearnloss.files import write_atomically

    table = frame.assign(**{target: labels})
    if path.suffix.lower() in (".parquet", ".pq"):
        write_atomically(path, lambda file: table.to_parquet(file, index=False))
        return
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    write_atomically(path, table.to_csv(index=False, sep=separator).encode())
