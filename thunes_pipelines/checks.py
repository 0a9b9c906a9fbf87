"""Asset checks: how a finding becomes a check's result. Each check stands beside its asset.

A blocking check stops what stands downstream in the same run; a warning only shows.

Add here: what two assets' checks share. Keep out: the measuring (core).
"""

from __future__ import annotations

from typing import Any

import dagster as dg


def warning(name: str, *, passed: bool, why: str, **metadata: Any) -> dg.AssetCheckResult:
    """Return the result of a check that warns; `why` is the sentence shown."""
    return dg.AssetCheckResult(
        check_name=name,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=why,
        metadata={"why": why, **metadata},
    )
