"""The one Dagster resource, `house`: settings and the core objects built from them.

Assets, schedules and sensors ask the house and never read the environment. Nothing heavy is
imported before a method is called, and no secret enters run config: overrides are names and numbers
only, secrets are resolved by the settings inside the process.

Add here: a core object that assets ask for. Keep out: the choice of adapters (see `wiring.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from thunes_core.settings import Settings, load
from thunes_pipelines.resources import wiring

if TYPE_CHECKING:
    from thunes_core.adapters.bars.store import BarStore
    from thunes_core.adapters.ledger import Ledger
    from thunes_core.trading.ports import Broker, MarketData, ParameterSource
    from thunes_core.trading.world import TickReport
    from thunes_pipelines.promotion import Promoting
    from thunes_pipelines.resources.registry import Registry

HOUSE = "house"


class House(dg.ConfigurableResource["House"]):
    """Hand out the settings and plain core objects.

    `overrides` are values of `Settings` that win over the environment, for tests and the demo.
    Settings are read anew on each call, so that a run sees the present ones; faults raise
    `SettingsInvalid` there and not while the code location loads.
    """

    overrides: dict[str, Any] = Field(
        default_factory=dict, description="Settings that win over the environment; no secrets."
    )

    def settings(self) -> Settings:
        """Read the settings; `SettingsInvalid` lists every fault."""
        return load(**self.overrides)

    def market(self) -> MarketData:
        """Reach the public side of the exchange."""
        return wiring.market(self.settings())

    def second_market(self) -> MarketData | None:
        """Reach the second source of bars, or None where none is named."""
        return wiring.second_market(self.settings())

    def broker(self) -> Broker:
        """Reach the private side of the account."""
        return wiring.broker(self.settings())

    def ledger(self) -> Ledger:
        """Open the ledger."""
        return wiring.ledger(self.settings())

    def bars(self) -> BarStore:
        """Open the bars lake."""
        return wiring.bar_store(self.settings())

    def registry(self) -> Registry:
        """Open the registry; imports MLflow, so never on the tick's path."""
        return wiring.registry(self.settings())

    def promoting(self, ledger: Ledger) -> Promoting:
        """Return where champions are made and taken back, on the exchange's clock."""
        return wiring.promoting(self.settings(), ledger, self.market())

    def tick(self) -> TickReport:
        """Trade one tick of everything the settings name."""
        return wiring.tick(self.settings())

    def parameters(self) -> ParameterSource:
        """Ask for champions the light way."""
        return wiring.parameter_source(self.settings())
