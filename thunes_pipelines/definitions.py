"""The code location that Dagster loads.

Add here: nothing. Keep out: everything (see `build.py`).
"""

from __future__ import annotations

from thunes_pipelines.resources.garbage import loading

with loading():
    from thunes_pipelines.build import build_definitions

    defs = build_definitions()
