"""Tests of thunes_core."""
