"""Tests of thunes_core.adapters.ledger."""
