"""The audit trail as files: complete, continued, and checked."""

from __future__ import annotations

import errno
import json
import subprocess
import sys

import pytest

from tests.worlds import START
from thunes_core.adapters.ledger import export as files
from thunes_core.adapters.ledger import open_ledger
from thunes_core.errors import BadInput, StoreFailed


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


def test_a_trail_rewritten_from_the_beginning_does_not_hold_the_head_of_a_report(tmp_path):
    """It is whole in itself; only what was written down elsewhere tells."""
    trails = []
    for name in ("honest", "rewritten"):
        made = open_ledger(f"sqlite:///{tmp_path / name}.db", synchronous="OFF")
        for number in range(3):
            made.note(START, "event", {"n": number, "by": name})
        trails.append((made.audit(), made.verify_audit()))
        made.close()
    (honest, verdict), (rewritten, other) = trails
    assert verdict.whole
    assert other.whole
    assert files.holds_head(honest, verdict.head)
    assert not files.holds_head(rewritten, verdict.head)


KILLED = """
import os, signal, sys
from pathlib import Path
from thunes_core.adapters.ledger import export as files, open_ledger

files.LINES_PER_FILE = 3
point, calls = 0, 0
real_fsync, real_line = os.fsync, files._line


def count(real):
    def call(*given):
        global calls
        calls += 1
        if calls == point:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given)

    return call


os.fsync, files._line = count(real_fsync), count(real_line)
ledger = open_ledger(sys.argv[1])
events = ledger.audit()
ledger.close()
for point in range(1, 11):
    folder, calls = Path(sys.argv[2]) / str(point), 0
    if os.fork() == 0:
        files.export(events, folder)
        os._exit(0)
    _, status = os.wait()
    assert os.WTERMSIG(status) == signal.SIGKILL, status
"""


def test_a_kill_anywhere_in_a_rotation_loses_and_repeats_nothing(ledger, tmp_path):
    """Seven lines and three syncs in files of three: killed at each of them, then continued."""
    url = f"sqlite:///{tmp_path / 'l.db'}"
    command = [sys.executable, "-c", KILLED, url, str(tmp_path / "killed")]
    subprocess.run(command, check=True, timeout=120)
    for point in range(1, 11):
        folder = tmp_path / "killed" / str(point)
        files.export(ledger.audit(), folder)
        assert lines(folder) == [1, 2, 3, 4, 5, 6, 7]
        assert files.verify_files(folder) == ledger.verify_audit()


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


EDITS = {
    "a key of its own": lambda line: line.replace(b'{"body"', b'{"added":1,"body"'),
    "the same key twice": lambda line: line.replace(b'{"body"', b'{"event":"other","body"'),
    "a blank": lambda line: line.replace(b'"n":4', b'"n": 4'),
    "another writing of a number": lambda line: line.replace(b"0.5", b"0.50"),
    "the end of the line": lambda line: line.replace(b"\n", b"\r\n"),
    "a number of the row": lambda line: line.replace(b'"seq":5', b'"seq":true'),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_a_line_that_is_not_to_the_letter_what_was_written_is_found(ledger, tmp_path, edit):
    """Also where it still means the same."""
    folder = tmp_path / "a"
    files.export(ledger.audit(), folder)
    path = sorted(folder.iterdir())[1]
    lines_then = path.read_bytes().splitlines(keepends=True)
    changed = edit(lines_then[1])
    assert changed != lines_then[1]
    path.write_bytes(b"".join([lines_then[0], changed, lines_then[2]]))
    assert not files.verify_files(folder).whole


def test_two_lines_that_changed_places_are_found(ledger, tmp_path):
    """The first of them is where it breaks."""
    folder = tmp_path / "a"
    files.export(ledger.audit(), folder)
    path = sorted(folder.iterdir())[0]
    first, second, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + third + second)
    assert not files.verify_files(folder).whole


def test_files_that_end_earlier_than_the_ledger_are_its_beginning(ledger, tmp_path):
    """Events since the last export, or the last lines lost: the next export writes them."""
    folder = tmp_path / "a"
    files.export(ledger.audit(), folder)
    sorted(folder.iterdir())[-1].unlink()
    assert files.verify_export(ledger, folder).whole
    assert files.export_new(ledger, folder) == 1


def test_files_of_a_longer_or_another_trail_are_not_the_ledgers(ledger, tmp_path):
    """A ledger whose newest events were removed has not what was exported; nor has another."""
    files.export(ledger.audit(), tmp_path / "a")
    for name, events in (("cut", range(6)), ("other", range(1, 9))):
        other = open_ledger(f"sqlite:///{tmp_path / name}.db", synchronous="OFF")
        for number in events:
            other.note(START, "event", {"n": number, "share": 0.5, "text": "é\n"})
        assert not files.verify_export(other, tmp_path / "a").whole
        other.close()


def test_a_missing_file_is_found(ledger, tmp_path):
    """The trail jumps from three to seven."""
    folder = tmp_path / "a"
    files.export(ledger.audit(), folder)
    sorted(folder.iterdir())[1].unlink()
    assert files.verify_files(folder).broken_at == 7


NO_EVENTS = (
    b"nonsense",
    b"{}",
    b"[]",
    b"null",
    b"7",
    b"\xff\xfe",
    b'{"seq":"x","time_ms":1,"event":"e","body":{},"previous":"0","hash":"0"}',
    b'{"seq":1,"time_ms":1e300,"event":"e","body":{},"previous":"0","hash":"0"}',
    b'{"seq":1,"time_ms":1000000000000000000,"event":"e","body":{},"previous":"0","hash":"0"}',
)


def test_no_files_are_bad_input(tmp_path):
    """The message says what was expected."""
    with pytest.raises(BadInput, match="there are none; export first"):
        files.verify_files(tmp_path)


@pytest.mark.parametrize("line", NO_EVENTS)
def test_a_line_that_is_no_event_breaks_the_trail(ledger, tmp_path, line):
    """Exporting names the line, and nothing is written behind it."""
    path = tmp_path / "audit-000000001.jsonl"
    path.write_bytes(line + b"\n")
    assert files.verify_files(tmp_path).broken_at == 1
    with pytest.raises(BadInput, match=r"line 1 of .*jsonl is none"):
        files.export_new(ledger, tmp_path)
    assert path.read_bytes() == line + b"\n"


def test_the_files_of_another_trail_are_not_continued(ledger, tmp_path):
    """A new ledger beside old files: its first events would be taken for exported, and be lost."""
    other = open_ledger(f"sqlite:///{tmp_path / 'other.db'}", synchronous="OFF")
    for number in range(4):
        other.note(START, "event", {"of": "another", "n": number})
    files.export_new(other, tmp_path / "a")
    other.close()
    with pytest.raises(BadInput, match="its event 4 is of another"):
        files.export_new(ledger, tmp_path / "a")
    assert lines(tmp_path / "a") == [1, 2, 3, 4]


def test_a_longer_trail_is_another(ledger, tmp_path):
    """A ledger that was put back from an old copy has not what was exported."""
    files.export_new(ledger, tmp_path / "a")
    ledger.note(START, "event", {})
    files.export_new(ledger, tmp_path / "a")
    older = open_ledger(f"sqlite:///{tmp_path / 'older.db'}", synchronous="OFF")
    with pytest.raises(BadInput, match="its event 8 is of another"):
        files.export_new(older, tmp_path / "a")
    older.close()


def test_a_folder_that_cannot_be_made_is_bad_input(ledger, tmp_path):
    """A file is in the way."""
    (tmp_path / "a").write_text("in the way")
    with pytest.raises(BadInput, match="a folder that can be made"):
        files.export_new(ledger, tmp_path / "a")


def test_a_file_that_cannot_be_written_says_what_to_do(ledger, tmp_path, monkeypatch):
    """A full disk: the export goes on later."""

    def full(_file):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fsync", full)
        with pytest.raises(StoreFailed, match=r"No space left.*it goes on where it ended"):
            files.export_new(ledger, tmp_path)
    files.export_new(ledger, tmp_path)
    assert lines(tmp_path) == [1, 2, 3, 4, 5, 6, 7]


def test_files_that_only_look_alike_are_left_alone(ledger, tmp_path):
    """They are somebody else's."""
    (tmp_path / "audit-notes.jsonl").write_text("{}\n")
    assert files.export_new(ledger, tmp_path) == 7
    assert files.verify_files(tmp_path).whole
