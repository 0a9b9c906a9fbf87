"""Who may ask: API keys, HMAC, Ed25519 and RSA signatures, timestamps and recvWindow.

Add here: another kind of key. Keep out: what the request asks for.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import unquote

from thunes_core.testnet.clock import ExchangeClock, early_tolerance_ms, late_tolerance_ms
from thunes_core.testnet.parameters import Parameters
from thunes_core.testnet.refusals import Refused, missing

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

LOCAL_KEY = "thunes-local-key"
LOCAL_SECRET = "thunes-local-secret"
DEFAULT_WINDOW_MS = 5_000
MOST_WINDOW_MS = 60_000
AHEAD_MS = 1_000


@dataclass(frozen=True, slots=True)
class Key:
    """What an API key proves itself with: an HMAC secret, or an Ed25519 or RSA public key (PEM)."""

    secret: str | None = None
    public_key_pem: str | None = None

    def accepts(self, payload: str, signature: str) -> bool:
        """True when `signature` is this key's signature of `payload`."""
        if self.public_key_pem is not None:
            return _public_key_accepts(self.public_key_pem, payload, signature)
        digest = hmac.new((self.secret or "").encode(), payload.encode(), hashlib.sha256)
        return hmac.compare_digest(digest.hexdigest().encode(), signature.lower().encode())


def public_key_of(pem: str) -> Ed25519PublicKey | RSAPublicKey | None:
    """Return the public key in a PEM text, None when it is neither Ed25519 nor RSA."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, Ed25519PublicKey | RSAPublicKey) else None


def _public_key_accepts(pem: str, payload: str, signature: str) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    key = public_key_of(pem)
    if key is None:
        return False
    try:
        proof = base64.b64decode(signature, validate=True)
        if isinstance(key, Ed25519PublicKey):
            key.verify(proof, payload.encode())
        else:
            key.verify(proof, payload.encode(), PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def require_key(keys: Mapping[str, Key], name: str | None) -> Key:
    """Return the key called `name`; refuse with -2014 when missing, -2015 when unknown."""
    if not name:
        raise Refused(-2014, "API-key format invalid.", status=401)
    if name not in keys:
        raise Refused(-2015, "Invalid API-key, IP, or permissions for action.", status=401)
    return keys[name]


def require_signature(key: Key, signed_text: str, signature: str | None) -> None:
    """Refuse with -1022 unless `signature` is the key's own of `signed_text`."""
    if not signature:
        raise missing("signature")
    if not key.accepts(signed_text, unquote(signature)):
        raise Refused(-1022, "Signature for this request is not valid.")


def require_in_time(parameters: Parameters, clock: ExchangeClock, now: int) -> None:
    """Refuse with -1021 a request that at `now` (ms) is too old, or from the future."""
    window = parameters.number("recvWindow", decimals=3)
    stamp = parameters.integer("timestamp")
    if stamp is None:
        raise missing("timestamp")
    window = Decimal(DEFAULT_WINDOW_MS) if window is None else window
    if window > MOST_WINDOW_MS:
        raise Refused(
            -1102,
            f"'recvWindow' contains unexpected value. Cannot be greater than {MOST_WINDOW_MS}.",
        )
    if stamp > 10**14:
        stamp //= 1000
    if stamp > now + early_tolerance_ms(clock, AHEAD_MS):
        raise Refused(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now - stamp > late_tolerance_ms(clock, math.ceil(window)):
        raise Refused(-1021, "Timestamp for this request is outside of the recvWindow.")


def split_signature(query: str, body: str) -> tuple[str, str | None]:
    """Return the signed text (query followed by body, without the signature) and the signature."""
    signature: str | None = None
    kept: list[str] = []
    for part in (query, body):
        pairs = [p for p in part.split("&") if p]
        for pair in pairs:
            if pair.startswith("signature="):
                signature = pair.removeprefix("signature=")
        kept.append("&".join(p for p in pairs if not p.startswith("signature=")))
    return "".join(kept), signature
