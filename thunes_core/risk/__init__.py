"""May we, and how much: limits, filters, the gate.

Add here: a check that returns None or the sentence that says why.
Keep out: I/O, exchange calls.
"""
