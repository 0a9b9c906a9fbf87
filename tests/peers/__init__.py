"""Agreement with code that others wrote: cases out, their answers in, every difference explained.

`make peers` builds the environment of the others and runs the three steps: `inputs`, `run_peers`
(there, without THUNES), `compare`.
"""
