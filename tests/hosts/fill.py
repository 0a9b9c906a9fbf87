"""One host's worker: searches the shared study, and waits inside one evaluation if it is asked to.

Arguments: the URL of the studies; which evaluation it waits in, from 1 (0: none). Says a line when
it waits, and at the end the trials and how many evaluations it paid for.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

from tests.thunes_core.research.test_search_sharing import SPACE, TRIALS, hill
from thunes_core.research.search import Evaluate, Relational, SearchOptions, search

SEED = 3


def found(trials: Any) -> list[Any]:
    """Return trials as JSON gives them back."""
    return [[t.number, dict(sorted(t.values.items())), t.outcome.objective] for t in trials]


def main() -> None:
    """Search as this host."""
    url, wait_in = sys.argv[1], int(sys.argv[2])
    paid: list[Any] = []

    def evaluate(values: Any) -> Any:
        paid.append(values)
        if len(paid) == wait_in:
            tell("waiting")
            sys.stdin.readline()
        return hill(values)

    options = SearchOptions(TRIALS, SEED, "random", studies=Relational(url))
    trials = search(SPACE, Evaluate(evaluate), options)
    files = [path.name for path in Path.home().iterdir()]
    tell({"trials": found(trials), "paid": len(paid), "host": socket.gethostname(), "files": files})


def tell(what: Any) -> None:
    """Say one line."""
    print(json.dumps(what), flush=True)  # noqa: T201 - this is how it is heard


if __name__ == "__main__":
    main()
