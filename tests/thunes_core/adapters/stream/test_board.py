"""The board shows the newest of each symbol, whole, at once, to everyone."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from thunes_core.adapters.stream.board import SLOT_BYTES, Board, latest, read_board
from thunes_core.errors import StoreFailed, UnknownName


def test_what_is_shown_is_read(tmp_path: Path) -> None:
    """Quote, bar and clock; the middle is between bid and ask."""
    path = tmp_path / "board"
    board = Board(path, ["BTCUSDT", "ETHUSDT"], "1h")
    board.update("BTCUSDT", bid=10.0, ask=11.0, heard_ms=5)
    board.update("BTCUSDT", bar_open_ms=3_600_000, close=9.0)
    one = latest(path, "BTCUSDT")
    assert (one.mid, one.heard_ms, one.close) == (10.5, 5, 9.0)
    assert one.bar_open_time == datetime(1970, 1, 1, 1, tzinfo=UTC)
    assert [o.symbol for o in read_board(path)] == ["BTCUSDT", "ETHUSDT"]
    assert latest(path, "ETHUSDT").bar_open_time is None
    board.close()


def test_without_a_quote_the_close_stands_for_the_middle(tmp_path: Path) -> None:
    """A price is shown as soon as there is any."""
    board = Board(tmp_path / "board", ["BTCUSDT"], "1h")
    board.update("BTCUSDT", close=9.0)
    assert latest(tmp_path / "board", "BTCUSDT").mid == 9.0


def test_a_new_board_keeps_what_an_older_one_showed(tmp_path: Path) -> None:
    """A restart forgets nothing of the same interval; another interval begins anew."""
    path = tmp_path / "board"
    Board(path, ["BTCUSDT"], "1h").update("BTCUSDT", close=9.0)
    Board(path, ["ETHUSDT", "BTCUSDT"], "1h")
    assert latest(path, "BTCUSDT").close == 9.0
    Board(path, ["BTCUSDT"], "4h")
    assert latest(path, "BTCUSDT").close == 0.0


def test_a_symbol_that_is_not_followed_is_told(tmp_path: Path) -> None:
    """The message says where to add it."""
    Board(tmp_path / "board", ["BTCUSDT"], "1h")
    with pytest.raises(UnknownName, match="add it to THUNES_SYMBOLS"):
        latest(tmp_path / "board", "ETHUSDT")


def test_no_board_and_a_damaged_one_are_told(tmp_path: Path) -> None:
    """Neither is read as if nothing had happened."""
    path = tmp_path / "board"
    with pytest.raises(StoreFailed, match="is `thunes stream` running"):
        read_board(path)
    path.write_bytes(b"x" * SLOT_BYTES)
    with pytest.raises(StoreFailed, match="is damaged"):
        read_board(path)


def test_a_reader_never_sees_half_a_slot(tmp_path: Path) -> None:
    """While a writer runs, bid and ask always belong together."""
    path, done = tmp_path / "board", threading.Event()
    board = Board(path, ["BTCUSDT"], "1h")

    def write() -> None:
        for turn in range(20_000):
            board.update("BTCUSDT", bid=float(turn), ask=float(turn + 1))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        one = latest(path, "BTCUSDT")
        assert one.ask - one.bid in (0.0, 1.0)
    writer.join()
    assert latest(path, "BTCUSDT").bid == 19_999.0
