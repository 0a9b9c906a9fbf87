"""When, in what order, with what shown: Dagster and the commands.

Add here: an asset, a job, a command.
Keep out: formulas, SQL text, order logic.
"""

import warnings

# Dagster calls backfill policies beta; the version is pinned and the surface is held by a snapshot.
warnings.filterwarnings("ignore", message=".*is currently in beta")
