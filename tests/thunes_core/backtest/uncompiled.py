"""The kernel and its rules as plain Python, made from their source, changed on request.

Add here: how a changed kernel is built. Keep out: the changes.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from unittest.mock import patch

from thunes_core.backtest import kernel, simulate
from thunes_core.trading import rules

RULES = Path(str(rules.__file__)).read_text()
KERNEL = Path(str(kernel.__file__)).read_text()
_COMPILED = "from thunes_core.backtest.compiled import compiled"
_RULES = "from thunes_core.trading import rules"


def build(rules_source: str = RULES, kernel_source: str = KERNEL) -> ModuleType:
    """Return the kernel as a module of plain functions over the given rules."""
    made_rules, made_kernel = ModuleType("made_rules"), ModuleType("made_kernel")
    exec(compile(rules_source, "rules", "exec"), made_rules.__dict__)
    assert _COMPILED in kernel_source and _RULES in kernel_source
    plain = kernel_source.replace(_COMPILED, "def compiled(f): return f").replace(_RULES, "")
    made_kernel.__dict__["rules"] = made_rules
    exec(compile(plain, "kernel", "exec"), made_kernel.__dict__)
    return made_kernel


def simulation(module: ModuleType):
    """Return `run_arrays` over the kernel in `module`."""

    def simulate_with(bars, target, terms, cash, entry=None):
        with patch.object(simulate.kernel, "run_bars", module.run_bars):
            return simulate.run_arrays(bars, target, module.Terms(*terms), cash)

    return simulate_with
