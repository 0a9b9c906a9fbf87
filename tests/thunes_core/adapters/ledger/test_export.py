"""The audit trail as files: complete, continued, and checked."""

from __future__ import annotations

import json

import pytest

from tests.worlds import START
from thunes_core.adapters.ledger import export as files
from thunes_core.adapters.ledger import open_ledger
from thunes_core.errors import BadInput


@pytest.fixture()
def ledger(tmp_path):
    """Return a ledger with seven events."""
    made = open_ledger(f"sqlite:///{tmp_path / 'l.db'}", synchronous="OFF")
    for number in range(7):
        made.note(START, "event", {"n": number, "share": 0.5, "text": "é\n"})
    yield made
    made.close()


@pytest.fixture(autouse=True)
def short_files(monkeypatch):
    """Let a file hold three events."""
    monkeypatch.setattr(files, "LINES_PER_FILE", 3)


def lines(folder) -> list[int]:
    """Return the numbers of all exported events in order."""
    texts = [path.read_text() for path in sorted(folder.glob("*.jsonl"))]
    return [json.loads(line)["seq"] for text in texts for line in text.splitlines()]


def test_every_event_is_one_line_and_files_are_named_by_their_first(ledger, tmp_path):
    """Seven events in files of three."""
    assert files.export(ledger.audit(), tmp_path / "a") == 7
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == [f"audit-{first:09d}.jsonl" for first in (1, 4, 7)]
    assert lines(tmp_path / "a") == [1, 2, 3, 4, 5, 6, 7]


def test_exporting_again_continues_and_repeats_nothing(ledger, tmp_path):
    """Only what is new is written."""
    files.export(ledger.audit(), tmp_path / "a")
    assert files.export(ledger.audit(), tmp_path / "a") == 0
    ledger.note(START, "event", {})
    after = files.last_exported(tmp_path / "a")
    assert files.export(ledger.audit(after=after), tmp_path / "a") == 1
    assert lines(tmp_path / "a") == list(range(1, 9))


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_an_export_cut_short_anywhere_loses_and_repeats_nothing(ledger, tmp_path, cut):
    """A broken last line is cut off and written again."""
    folder = tmp_path / "a"
    files.export(ledger.audit(), folder)
    last = sorted(folder.iterdir())[-1]
    last.write_bytes(last.read_bytes()[:-cut])
    files.export(ledger.audit(), folder)
    assert lines(folder) == [1, 2, 3, 4, 5, 6, 7]
    assert files.verify_files(folder).whole


def test_exported_files_prove_themselves(ledger, tmp_path):
    """Same rows, same head as the ledger."""
    files.export(ledger.audit(), tmp_path / "a")
    assert files.verify_files(tmp_path / "a") == ledger.verify_audit()


def test_a_changed_line_is_found(ledger, tmp_path):
    """The fifth event was edited."""
    folder = tmp_path / "a"
    files.export(ledger.audit(), folder)
    path = sorted(folder.iterdir())[1]
    path.write_text(path.read_text().replace('"n":4', '"n":9'))
    assert files.verify_files(folder).broken_at == 5


def test_a_missing_file_is_found(ledger, tmp_path):
    """The trail jumps from three to seven."""
    folder = tmp_path / "a"
    files.export(ledger.audit(), folder)
    sorted(folder.iterdir())[1].unlink()
    assert files.verify_files(folder).broken_at == 7


def test_no_files_and_no_json_are_bad_input(tmp_path):
    """The message says what was expected."""
    with pytest.raises(BadInput, match="there are none; export first"):
        files.verify_files(tmp_path)
    (tmp_path / "audit-000000001.jsonl").write_text("{}\nnonsense\n")
    with pytest.raises((BadInput, KeyError)):
        files.verify_files(tmp_path)
