"""Benchmarks: ratios measured in one run, printed and written by the command that measures."""
