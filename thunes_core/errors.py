"""One tree of errors; each class says who must act.

    ThunesError
    ├── BadInput                 the caller corrects what was given (exit code 2)
    │   ├── SettingsInvalid      the operator corrects the settings
    │   ├── BarsInvalid          the bars given break semantics §1
    │   ├── UnknownName          a symbol, interval or strategy that nobody knows
    │   └── ParametersInvalid    a parameter set outside its space
    ├── AnswerIsNo               it ran, and the answer is no (exit code 1)
    │   ├── PromotionRefused     the evidence does not carry the candidate
    │   ├── NoChampion           nothing was promoted yet for this study
    │   ├── NoEvidence           no walk-forward was run yet for this study
    │   ├── Interrupted          a person or the system ended it before it was done
    │   ├── LeaseHeld            another tick is trading this account
    │   └── BreakerOpen          the exchange failed repeatedly: nothing is begun for a minute
    └── OutsideFailed            the outside failed; wait or repair it (exit code 3)
        ├── ExchangeUnavailable  nothing was sent, or a read failed: try again later
        │   └── AskedToWait      the exchange wants no more requests for now: all processes wait
        ├── ExchangeRejected     a structured refusal: proof that nothing was done
        ├── OutcomeUnknown       an order may or may not exist: ask, never send again
        ├── StoreFailed          ledger, lake or warehouse cannot be read or written
        └── RegistryUnavailable  MLflow cannot be reached

Every message says what was expected, what it was, and what to do.
Add here: a class for a new "who must act". Keep out: handling.
"""

from __future__ import annotations


class ThunesError(Exception):
    """Root of all errors that the project raises on purpose."""

    exit_code = 1


class BadInput(ThunesError):
    """The caller must correct what was given."""

    exit_code = 2


class SettingsInvalid(BadInput):
    """The operator must correct the settings; the message lists every fault at once."""


class BarsInvalid(BadInput):
    """The bars given break semantics §1."""


class UnknownName(BadInput):
    """A symbol, interval, strategy or file is not known."""


class ParametersInvalid(BadInput):
    """A parameter set does not fit its space."""


class AnswerIsNo(ThunesError):
    """The work ran and the answer is no."""

    exit_code = 1


class PromotionRefused(AnswerIsNo):
    """The evidence does not carry the candidate."""


class NoChampion(AnswerIsNo):
    """No parameter set was promoted yet for the study."""


class NoEvidence(AnswerIsNo):
    """No walk-forward was run yet for the study."""


class Interrupted(AnswerIsNo):
    """A person or the system ended the work before it was done (SIGINT, SIGTERM)."""


class LeaseHeld(AnswerIsNo):
    """Another process holds the trading lease of this account."""


class BreakerOpen(AnswerIsNo):
    """The exchange failed repeatedly and nothing is held: nothing is begun for a while."""


class OutsideFailed(ThunesError):
    """Something outside of THUNES failed; wait for it or repair it."""

    exit_code = 3


class ExchangeUnavailable(OutsideFailed):
    """A read failed, or a request provably never left: trying again later is safe."""


class AskedToWait(ExchangeUnavailable):
    """The exchange answered 429 or 418, or the shared budget is closed: nothing is sent."""


class ExchangeRejected(OutsideFailed):
    """The exchange answered with a structured error: proof that nothing was done.

    `code` is the exchange's own error code (for Binance a negative number).
    """

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class OutcomeUnknown(OutsideFailed):
    """An order may or may not have reached the exchange: ask for it, never send it again."""


class StoreFailed(OutsideFailed):
    """A store (ledger, lake, warehouse) cannot be read or written."""


class RegistryUnavailable(OutsideFailed):
    """The registry of parameter sets cannot be reached."""
