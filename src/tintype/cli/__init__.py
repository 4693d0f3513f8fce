"""The command line: argv, print, exit codes and environment live here, and nothing else does.

Nothing heavy is imported before a verb runs: `tintype --help` answers in a tenth of a second.
"""

from __future__ import annotations

import signal
import sys
import traceback
from typing import Annotated, Any, NoReturn, cast

import typer

from tintype import __version__
from tintype.cli import colorize, doctor, evaluate, gray, models, train
from tintype.cli.report import printable, say
from tintype.cli.work import one_line, stop
from tintype.errors import TintypeError, refusal

# Plain text instead of boxes: rich alone would cost more than everything else in `--help`.
app = typer.Typer(
    name="tintype",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("colorize")(colorize.colorize)
app.command("gray")(gray.gray)
app.add_typer(models.app, name="models")
app.command("train")(train.train)
app.command("export")(train.export)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(evaluate.compare)
app.command("doctor")(doctor.doctor)


#: ClickException: click's own, or that of the copy of click in newer versions of typer.
_REFUSED = cast(type[Exception], typer.BadParameter.__mro__[2])


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"tintype {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Add colour to black-and-white photographs, and change nothing else.

    Exit codes: 0 all done, 1 some inputs failed, 2 usage, 3 model or optional part missing, 4 a limit exceeded,
    130 interrupted.
    """


def _refuse(error: Any) -> NoReturn:
    """A request that makes no sense, in one line; no request at all is answered with the help."""
    text, context = error.format_message(), getattr(error, "ctx", None)
    if text.startswith("Usage:"):
        typer.echo(text, err=True)
    else:
        more = f" (see {context.command_path} --help)" if context else ""
        say(printable(f"error: {' '.join(text.split())}{more}"))
    sys.exit(error.exit_code)


def main() -> None:
    """The command `tintype`."""
    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else a shell has it ignored: a command with &
        signal.signal(signal.SIGINT, stop)
    try:
        sys.exit(app(prog_name="tintype", standalone_mode=False))
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except _REFUSED as error:
        _refuse(error)
    except TintypeError as error:
        say(f"error: {one_line(error)}")
        sys.exit(error.exit_code)
    except Exception as error:
        if isinstance(error, OSError) and error.errno:  # what we say can't be said: standard output is full or gone
            cause, remedy = refusal(error)
            say(f"error: {error.filename or 'standard output'}: {cause} ({remedy})")
        elif sys.stdout is None:  # the shell closed it: >&-
            say("error: standard output is closed")
        else:
            say(f"error: internal error: {type(error).__name__}: {one_line(error)}")
        if {"-v", "--verbose"} & set(sys.argv):
            traceback.print_exc()
        sys.exit(1)
