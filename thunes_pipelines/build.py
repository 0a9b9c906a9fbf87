"""The whole house on one screen: assets, checks, jobs, schedules, sensors and the one resource.

Add here: a new kind of definition. Keep out: any definition itself (one file a Dagster noun).
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from thunes_core.errors import SettingsInvalid
from thunes_pipelines.assets import (
    lineage,
    market,
    parity,
    reporting,
    research,
    trading,
    warehouse,
)
from thunes_pipelines.jobs import JOBS
from thunes_pipelines.resources.house import HOUSE, House
from thunes_pipelines.schedules import schedules
from thunes_pipelines.sensors import sensors

GROUPS = (market, research, trading, reporting, parity, warehouse, lineage)


def build_definitions(*, house: House | None = None, **settings: Any) -> dg.Definitions:
    """Assemble everything; `settings` win over the environment, `house` replaces the resource."""
    house = house or House(overrides=settings)
    running = _switched_on(house)
    return dg.Definitions(
        assets=[asset for group in GROUPS for asset in group.ASSETS],
        asset_checks=[check for group in GROUPS for check in group.CHECKS],
        jobs=JOBS,
        schedules=schedules(running=running),
        sensors=sensors(running=running),
        resources={HOUSE: house},
        executor=dg.in_process_executor,
    )


def _switched_on(house: House) -> bool:
    """Faulty settings switch nothing on: the code location loads, and the first run tells them."""
    try:
        return house.settings().schedules_running
    except SettingsInvalid:
        return False
