"""Tests of thunes_core.trading."""
