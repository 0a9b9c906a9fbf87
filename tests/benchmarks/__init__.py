"""Speed: against the last runs here (`bench_backtest`, `history`) and against others' code.

`make bench` runs all three. Nothing here belongs to `make test`.
"""
