"""The command line, one file per command; no command's file imports torch before the command runs."""

import sys
from importlib import import_module
from io import TextIOWrapper

__all__ = ["main"]

EXTRA = ("typer", "rich")


def main() -> None:
    """Run the command line; without the extra ``cli``, say how to install it."""
    try:
        for name in EXTRA:
            import_module(name)
    except ModuleNotFoundError as error:
        print(f'the command line needs {error.name}: pip install "sklearnloss[cli]"', file=sys.stderr)
        raise SystemExit(2) from None
    from sklearnloss.cli.app import app

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without a sign shows "?" instead of a traceback
    app(prog_name="sklearnloss")
