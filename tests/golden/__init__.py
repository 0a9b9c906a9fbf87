"""Hand-made cases: bars and answers that fit in the head (see README.md)."""
