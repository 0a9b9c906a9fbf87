"""Speed: against the last runs here (`bench_backtest`, `history`) and against others' code.

`make bench` runs them with those of walk-forward, latency and streams; `make bench-data` the lake's
alone, which takes longest. Nothing here belongs to `make test`.
"""
