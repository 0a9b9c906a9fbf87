"""Tests of thunes_pipelines."""
