"""The command `thunes`: every command by its fixed name, one place that turns errors into exits.

Exit codes: 0 done, 1 it ran and the answer is no, 2 bad input, 3 the outside failed.

Add here: one line per command. Keep out: what a command does (one file a group beside this one).
"""

from __future__ import annotations

import errno
import importlib
import sys

import typer
from click.exceptions import Abort, NoArgsIsHelpError, UsageError

from thunes_core.errors import StoreFailed, ThunesError
from thunes_pipelines.cli.interrupts import sigterm_interrupts

app = typer.Typer(
    name="thunes",
    help="Runs a systematic crypto strategy, and can always say why it did what it did.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

GROUPS = (
    "arm",
    "audit",
    "backtest",
    "check_strategy",
    "data",
    "demo",
    "portfolio",
    "proof",
    "registry",
    "stream",
    "testnet",
    "trading",
    "up",
)
"""Modules beside this one; each has `add_to(app)` that registers its commands."""


def load_commands() -> typer.Typer:
    """Register the commands of every group and return the app."""
    if not app.registered_commands and not app.registered_groups:
        for group in GROUPS:
            importlib.import_module(f"thunes_pipelines.cli.{group}").add_to(app)
    return app


_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES})
INTERRUPTED = 130
"""What Typer returns for a command that an interrupt ended."""


def main() -> None:
    """Run the command line; one clear message and the right exit code on any expected error."""
    try:
        with sigterm_interrupts():
            code = load_commands()(prog_name="thunes", standalone_mode=False)
    except NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except UsageError as error:
        sys.stderr.write(_one_line(error))
        sys.exit(2)
    except KeyboardInterrupt:  # before a command began
        code = INTERRUPTED
    except Abort:
        sys.exit(1)
    except ThunesError as error:
        sys.stderr.write(f"thunes: {error}\n")
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in _UNWRITABLE or error.filename is None:
            raise
        sys.stderr.write(f"thunes: {_of_the_disk(error)}\n")
        sys.exit(StoreFailed.exit_code)
    if code == INTERRUPTED:
        sys.stderr.write("thunes: interrupted before it was done\n")
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _of_the_disk(error: OSError) -> str:
    """Say in one line what a service that starts met on its way, before it had a store."""
    return (
        f"{error.filename}: expected a disk with room and the right to write; {error.strerror}; "
        "make room or correct its permissions, then try again"
    )


def _one_line(error: UsageError) -> str:
    """Return what is wrong with an option, and where to read which there are."""
    command = error.ctx.command_path if error.ctx is not None else "thunes"
    told = " ".join(error.format_message().split()).rstrip(".")
    return f"thunes: {told}; see {command} --help\n"


if __name__ == "__main__":
    main()
