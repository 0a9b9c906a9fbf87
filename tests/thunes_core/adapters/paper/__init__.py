"""Tests of thunes_core.adapters.paper."""
