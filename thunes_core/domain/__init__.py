"""The nouns of the house, immutable and validated.

Add here: a noun that two layers share.
Keep out: I/O, the clock, randomness, formulas of strategies.
"""
