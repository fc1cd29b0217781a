"""The application: its commands, and how it says what went wrong."""

import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sklearnloss import __version__
from sklearnloss.cli.check import check
from sklearnloss.cli.compare import compare
from sklearnloss.cli.info import info
from sklearnloss.cli.label import label
from sklearnloss.cli.listing import list_components
from sklearnloss.cli.new_plugin import new_plugin
from sklearnloss.cli.plugins import plugins
from sklearnloss.exceptions import SklearnLossError, SklearnLossWarning

__all__ = ["app"]

EXTRA = 'pip install "sklearnloss['  # how the message of an import begins to say what is missing


class Commands(TyperGroup):
    """Commands that say in one line what a user did wrong, or which plugin was not loaded."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error raised on purpose is one line and exit status 2, never a traceback."""
        showwarning = warnings.showwarning

        def show_one_line(message: Any, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, SklearnLossWarning):
                typer.echo(f"warning: {_joined(message)}", err=True)
            else:
                showwarning(message, category, *place, **more)

        warnings.showwarning = show_one_line
        try:
            return super().invoke(ctx)
        except (SklearnLossError, ImportError) as error:
            if isinstance(error, ImportError) and EXTRA not in str(error):
                raise
            typer.echo(f"error: {_joined(error)}", err=True)
            raise typer.Exit(2) from None
        finally:
            warnings.showwarning = showwarning


def _joined(message: Any) -> str:
    return " ".join(str(message).split())


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sklearnloss {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def sklearnloss(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Losses as first-class, pluggable hyperparameters of scikit-learn estimators."""


app.command("compare")(compare)
app.command("label")(label)
app.command("list")(list_components)
app.command("info")(info)
app.command("plugins")(plugins)
app.command("check")(check)
app.command("new-plugin")(new_plugin)
