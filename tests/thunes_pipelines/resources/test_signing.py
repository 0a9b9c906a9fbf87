"""Signatures hold for exactly the facts that were signed, with exactly the key."""

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from thunes_core.errors import StoreFailed
from thunes_pipelines.resources.signing import is_signed, load_key, signature

FACTS = {"study": "s", "version": "3"}


def test_key_is_made_once_and_for_its_owner_alone(tmp_path):
    """Several first users get one key, and nobody else may read the file."""
    path = tmp_path / "home" / "registry.key"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: load_key(path), range(8)))
    assert len(keys) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["registry.key"]


def test_signature_holds_for_the_facts_in_any_order_and_nothing_else():
    """Another value, another name, another key: not signed."""
    key = b"k" * 32
    given = signature(key, FACTS)
    assert is_signed(key, dict(reversed(FACTS.items())), given)
    assert not is_signed(key, {**FACTS, "version": "4"}, given)
    assert not is_signed(key, {**FACTS, "more": ""}, given)
    assert not is_signed(b"x" * 32, FACTS, given)
    assert not is_signed(key, FACTS, "")


def test_broken_or_unreadable_key_says_what_to_do(tmp_path):
    """A truncated key, and a folder where the key should be."""
    path = tmp_path / "registry.key"
    path.write_bytes(b"short")
    with pytest.raises(StoreFailed, match="restore the file"):
        load_key(path)
    with pytest.raises(StoreFailed, match="permissions"):
        load_key(tmp_path)
