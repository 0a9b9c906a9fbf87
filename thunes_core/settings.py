"""The only reader of the environment and of `thunes.toml`; every fault is told at once.

Values come, highest first, from arguments, environment (`THUNES_…`), `.env`, `thunes.toml` (in the
working directory, or where `THUNES_CONFIG` points), a `thunes up` that runs in the same home,
defaults. Secrets are `SecretStr` and never shown, neither in errors nor in `repr`.

Add here: a setting. Keep out: what is done with it.
"""

from __future__ import annotations

import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from thunes_core import misspelt
from thunes_core.domain.bars import Interval
from thunes_core.domain.limits import Costs, Protection, RiskLimits
from thunes_core.errors import SettingsInvalid
from thunes_core.loopback import is_here
from thunes_core.serving import Served, at_home

LOCAL_TESTNET_URL = "http://127.0.0.1:8799"
LOCAL_KEY = "thunes-local-key"
LOCAL_SECRET = "thunes-local-secret"
_SYMBOL = re.compile(r"^[A-Z0-9]{2,20}$")
_HOSTS = {
    "local": LOCAL_TESTNET_URL,
    "binance": "https://api.binance.com",
    "binance-testnet": "https://testnet.binance.vision",
    "binance-demo": "https://demo-api.binance.com",
}


CCXT = "ccxt:"
_TRADED = {**_HOSTS, "ccxt:binance": _HOSTS["binance"]}
"""Where orders are possible; through CCXT only where it was tried (docs/exchanges.md)."""
_OWN_KEYS = ("binance_api_key", "binance_api_secret", "binance_private_key_file")
_STREAMS = {
    "binance": "wss://stream.binance.com:9443",
    "binance-testnet": "wss://stream.testnet.binance.vision",
    "binance-demo": "wss://demo-stream.binance.com",
}

Objective = Literal["sharpe", "total_return", "max_drawdown"]


class Settings(BaseSettings):
    """All settings of THUNES, validated. Money in quote units, rates as fractions."""

    model_config = SettingsConfigDict(
        env_prefix="THUNES_",
        env_file=".env",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    home: Path = Path("~/.thunes")
    exchange: str = "local"
    broker: Literal["paper", "exchange"] = "paper"
    second_source: str | None = None
    binance_rest_url: str | None = None
    binance_stream_url: str | None = None
    binance_ws_api_url: str | None = None
    binance_api_key: SecretStr | None = None
    binance_api_secret: SecretStr | None = None
    binance_private_key_file: Path | None = None
    symbols: Annotated[tuple[str, ...], NoDecode] = ("BTCUSDT",)
    interval: Interval = Interval.H1
    strategies: Annotated[tuple[str, ...], NoDecode] = ("sma_crossover",)
    ledger_url: str | None = None
    mlflow_tracking_uri: str | None = None
    registry_key_file: Path | None = None
    optuna_url: str | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"

    allotment_quote: Decimal = Field(default=Decimal(1000), gt=0)
    daily_loss_quote: Decimal = Field(default=Decimal(20), gt=0)
    max_positions: int = Field(default=3, ge=1)
    cooldown_minutes: int = Field(default=60, ge=0, le=525_600)
    max_order_notional: Decimal = Field(default=Decimal(1500), gt=0)
    max_symbol_exposure: Decimal = Field(default=Decimal(1500), gt=0)
    max_total_exposure: Decimal = Field(default=Decimal(4500), gt=0)
    bar_grace_seconds: int = Field(default=60, ge=0, le=86_400)
    max_drawdown: Decimal = Field(default=Decimal("0.3"), ge=0, lt=1)
    max_correlated_exposure: Decimal = Field(default=Decimal(0), ge=0)
    correlation_threshold: float = Field(default=0.8, ge=-1, le=1)
    max_entries_per_hour: int = Field(default=30, ge=0)
    price_band: Decimal = Field(default=Decimal("0.1"), ge=0, lt=1)
    max_stop_outs: int = Field(default=0, ge=0)
    stop_out_hours: int = Field(default=24, ge=1, le=8760)

    taker_fee: float = Field(default=0.001, ge=0, lt=0.1)
    maker_fee: float = Field(default=0.001, ge=0, lt=0.1)
    slippage: float = Field(default=0.0005, ge=0, lt=0.1)
    entry: Literal["market", "limit"] = "market"
    entry_limit_offset: float = Field(default=0.0, ge=0, lt=1)
    entry_timeout_bars: int = Field(default=1, ge=1, le=10_000)
    entry_then_market: bool = False
    stop_loss: float = Field(default=0.0, ge=0, lt=1)
    take_profit: float = Field(default=0.0, ge=0, le=1000)
    trailing_stop: float = Field(default=0.0, ge=0, lt=1)
    trailing_activation: float = Field(default=0.0, ge=0, le=1000)
    trailing_native: bool = False

    history_days: int = Field(default=365, ge=1)
    folds: int = Field(default=6, ge=1)
    trials: int = Field(default=60, ge=1)
    seed: int = 7
    anchored: bool = True
    train_share: float = Field(default=0.2, ge=0.05, le=0.9)
    purge_bars: int | None = Field(default=None, ge=0)
    sampler: Literal["tpe", "random", "qmc", "nsgaii", "cmaes"] = "tpe"
    objectives: Annotated[tuple[Objective, ...], NoDecode] = Field(
        default=("sharpe",), min_length=1
    )
    min_trades: int = Field(default=5, ge=0)
    max_search_drawdown: float = Field(default=1.0, gt=0, le=1)
    stagnation_trials: int = Field(default=0, ge=0)
    regret: float = Field(default=0.0, ge=0)
    pruning_parts: int = Field(default=0, ge=0, le=50)
    compute: Literal["in_turn", "processes", "dask"] = "in_turn"
    compute_workers: int = Field(default=2, ge=1, le=256)
    dask_scheduler: str | None = None
    promotion: Literal["strict", "bootstrap"] = "strict"
    champion_max_age_days: int = Field(default=30, ge=1)
    max_live_drawdown: float = Field(default=0.3, gt=0, le=1)
    new_data_days: int = Field(default=30, ge=1)
    shadow_days: int = Field(default=0, ge=0)
    takeover_hours: int = Field(default=168, ge=0, le=87_600)
    schedules_running: bool = False

    @field_validator("symbols", "strategies", "objectives", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(p.strip() for p in value.split(",")) if isinstance(value, str) else value

    @field_validator("symbols")
    @classmethod
    def _symbols(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [s for s in value if not _SYMBOL.match(s)]
        if wrong or not value or len(set(value)) < len(value):
            raise ValueError(f"expected symbols such as BTCUSDT, each once; not {wrong or value}")
        return value

    @field_validator("exchange", "second_source")
    @classmethod
    def _exchange(cls, value: str | None) -> str | None:
        if value is not None and value not in _HOSTS and not re.match(r"^ccxt:[a-z0-9]+$", value):
            raise ValueError(f"expected one of {', '.join(_HOSTS)} or ccxt:<id>; it was {value!r}")
        return value

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        if re.search("[%?#]", str(home := at_home(value).resolve())):
            raise ValueError("expected a path without %, ? and #: they mean more in an address")
        return home

    @model_validator(mode="before")
    @classmethod
    def _local_key(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Leave the user's own keys out where the exchange is local: it has its published one."""
        if values.get("exchange", "local") != "local":
            return values
        return {name: value for name, value in values.items() if name not in _OWN_KEYS}

    @model_validator(mode="after")
    def _keys(self) -> Settings:
        if self.broker != "exchange" or self.exchange == "local":
            return self
        if self.exchange not in _TRADED:
            raise ValueError(
                f"orders on {self.exchange} were never tried and are not sent; use broker 'paper', "
                f"or one of {', '.join(_TRADED)}"
            )
        if not (
            self.binance_api_key and (self.binance_api_secret or self.binance_private_key_file)
        ):
            raise ValueError(
                "broker 'exchange' needs THUNES_BINANCE_API_KEY and THUNES_BINANCE_API_SECRET "
                "(or THUNES_BINANCE_PRIVATE_KEY_FILE); set them or use broker 'paper'"
            )
        return self

    @model_validator(mode="after")
    def _hosts(self) -> Settings:
        is_local, trades = self.exchange == "local", self.broker == "exchange"
        urls = [self.rest_url, self.binance_stream_url, self.binance_ws_api_url]
        hosts = {urlsplit(url) for url in urls if url}
        if is_local and not all(is_here(host.hostname) for host in hosts):
            raise ValueError(
                "exchange 'local' lives on this machine, THUNES_BINANCE_…_URL names another; "
                "set THUNES_EXCHANGE to the exchange that is meant, or correct the address"
            )
        if not is_local and trades and any(is_here(host.hostname) for host in hosts):
            raise ValueError(
                f"keys of {self.exchange} would be sent to this machine; set THUNES_EXCHANGE=local "
                "or take THUNES_BINANCE_…_URL out"
            )
        if not is_local and trades and any(host.scheme in {"http", "ws"} for host in hosts):
            raise ValueError("orders to a real exchange need https; correct THUNES_BINANCE_…_URL")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is given
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then environment, `.env`, `thunes.toml`, and what is served in `home`."""
        toml = TomlConfigSettingsSource(settings_cls, files()[1])
        return init_settings, env_settings, dotenv_settings, toml, Served(settings_cls)

    @property
    def second_is_same(self) -> bool:
        """True when the second source is the same market by another road."""
        return (self.second_source or "").removeprefix(CCXT) == self.exchange.removeprefix(CCXT)

    @property
    def ccxt_id(self) -> str:
        """What CCXT calls the exchange; empty where it is not reached through CCXT."""
        return self.exchange.removeprefix(CCXT) if self.exchange.startswith(CCXT) else ""

    @property
    def rest_url(self) -> str:
        """Base URL of the exchange's REST interface; empty where CCXT alone knows it."""
        return self.binance_rest_url or _TRADED.get(self.exchange, "")

    @property
    def stream_url(self) -> str:
        """Base URL of the exchange's market streams."""
        own = f"ws{self.rest_url.removeprefix('http')}" if self.rest_url else ""
        return self.binance_stream_url or _STREAMS.get(self.exchange, own)

    @property
    def board_path(self) -> Path:
        """Where the live stream shows the newest of each symbol, of this exchange only."""
        return self.home / f"board.{self.exchange.replace(':', '-')}"

    @property
    def lake_root(self) -> Path:
        """Root of the bars lake."""
        return self.home / "lake"

    @property
    def warehouse_path(self) -> Path:
        """The published DuckDB file."""
        return self.home / "warehouse.duckdb"

    @property
    def ledger_address(self) -> str:
        """SQLAlchemy URL of the ledger."""
        return self.ledger_url or f"sqlite:///{self.home / 'ledger.db'}"

    @property
    def tracking_uri(self) -> str:
        """Absolute MLflow tracking URI."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.home / 'mlflow.db'}"

    @property
    def registry_key_path(self) -> Path:
        """Where the key lies that signs registered and promoted parameter sets."""
        return self.registry_key_file or self.home / "registry.key"

    @property
    def artifact_root(self) -> str:
        """Where MLflow keeps artefacts when it runs embedded."""
        return (self.home / "mlflow-artifacts").as_uri()

    @property
    def reports_root(self) -> Path:
        """Where reports are written."""
        return self.home / "reports"

    @property
    def costs(self) -> Costs:
        """Fees and slippage assumed."""
        return Costs(self.taker_fee, self.maker_fee, self.slippage)

    @property
    def protection(self) -> Protection:
        """Protective exits."""
        return Protection(
            self.stop_loss,
            self.take_profit,
            self.trailing_stop,
            self.trailing_activation,
            self.cooldown_minutes,
        )

    @property
    def limits(self) -> RiskLimits:
        """Risk limits of the account."""
        return RiskLimits(
            self.daily_loss_quote,
            self.max_positions,
            self.cooldown_minutes,
            self.max_order_notional,
            self.max_symbol_exposure,
            self.max_total_exposure,
            self.bar_grace_seconds,
            self.max_drawdown,
            self.max_correlated_exposure,
            self.correlation_threshold,
            self.max_entries_per_hour,
            self.price_band,
            self.max_stop_outs,
            self.stop_out_hours,
        )


def files() -> tuple[Path, Path]:
    """Return `.env` and `thunes.toml`, where settings are read from; neither need be there."""
    config = os.environ.get("THUNES_CONFIG") or "thunes.toml"
    return Path(".env"), Path(config).expanduser()


def load(**overrides: Any) -> Settings:
    """Read and check all settings; `SettingsInvalid` lists every fault and shows no value."""
    faults, known = [], Settings.model_fields.keys()
    try:
        faults = misspelt.faults(known, os.environ, *files())
        settings = Settings(**overrides)
    except ValidationError as error:
        faults += [
            f"{'_'.join(['THUNES', *(str(p).upper() for p in e['loc'][:1])])}: {e['msg']}"
            for e in error.errors(include_input=False, include_url=False, include_context=False)
        ]
    except (OSError, ValueError) as error:
        raise SettingsInvalid(f"settings: {files()[1]} cannot be read: {error}") from None
    if faults:
        raise SettingsInvalid("\n  ".join(["settings: these are not valid:", *faults]))
    return settings
