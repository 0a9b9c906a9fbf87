"""A small code location whose jobs tell where they run, wait, or die, for the tests of workers."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import dagster as dg

LONGEST_SECONDS = 60


@dg.op(config_schema={"path": str})
def tell(context: dg.OpExecutionContext) -> None:
    """Write down which process this is and what it had imported before."""
    told = {"pid": os.getpid(), "parent": os.getppid(), "warm": "binance.client" in sys.modules}
    Path(context.op_config["path"]).write_text(json.dumps(told))


@dg.op
def wait() -> None:
    """Wait to be terminated."""
    time.sleep(LONGEST_SECONDS)


@dg.op
def die() -> None:
    """End as by a power cut."""
    os.kill(os.getpid(), signal.SIGKILL)


@dg.job(executor_def=dg.in_process_executor)
def telling() -> None:
    """Tell."""
    tell()


@dg.job(executor_def=dg.in_process_executor)
def waiting() -> None:
    """Wait."""
    wait()


@dg.job(executor_def=dg.in_process_executor)
def dying() -> None:
    """Die."""
    die()


defs = dg.Definitions(jobs=[telling, waiting, dying])
