"""The live stream: closed bars and quotes as they happen, none missed, none twice.

Add here: one part of following a stream. Keep out: what is done with a new bar (sensors, ticks).
"""
