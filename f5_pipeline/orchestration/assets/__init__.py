"""The lineage, one file an asset, in the order of the flow. Thin: the work is done in `studio`."""

import warnings

import dagster as dg

# Data versions of outputs are marked as beta. They are what tells stale from fresh here, and the tests watch over them.
warnings.filterwarnings("ignore", message="Parameter `data_version`", category=dg.BetaWarning)
