"""Search of a parameter space with Optuna: seeded, in memory, kept in blocks, resumable, shared.

This package is the only importer of optuna. Every block of trials draws from a generator seeded by
(seed, block) alone, so that a search that was killed and resumed proposes the same trials as one
that was not.

Add here: a sampler, a stopping rule, a place where studies are kept. Keep out: backtests.
"""

from thunes_core.research.search.journal import JournalFolder
from thunes_core.research.search.kept import Counted, Studies
from thunes_core.research.search.loop import Evaluate, SearchOptions, search
from thunes_core.research.search.pages import study_page
from thunes_core.research.search.relational import Relational
from thunes_core.research.search.samplers import SAMPLERS
from thunes_core.research.search.stopping import Stopping
from thunes_core.research.search.trials import Outcome, Tried, best

__all__ = [
    "SAMPLERS",
    "Counted",
    "Evaluate",
    "JournalFolder",
    "Outcome",
    "Relational",
    "SearchOptions",
    "Stopping",
    "Studies",
    "Tried",
    "best",
    "search",
    "study_page",
]
