"""Numbers that are none: refused where they are read, before a command begins."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from thunes_pipelines.cli.main import load_commands


@pytest.mark.parametrize("number", ["nan", "inf"])
@pytest.mark.parametrize(
    "words",
    [("stream", "--seconds"), ("walk-forward", "--strategy", "sma_crossover", "--train-share")],
)
def test_what_is_no_finite_number_ends_as_two(words, number, tmp_path, monkeypatch):
    """NaN passes every range: a stream told to end after so many seconds would never end."""
    monkeypatch.setenv("THUNES_HOME", str(tmp_path))
    result = CliRunner().invoke(load_commands(), [*words, number], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert words[-1] in result.output
    assert not list(tmp_path.iterdir())
