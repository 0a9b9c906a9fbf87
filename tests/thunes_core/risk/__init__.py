"""Tests of thunes_core.risk."""
