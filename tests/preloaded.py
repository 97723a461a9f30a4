"""What commands of tests import, imported once, and nothing else: who has computed cannot be forked safely."""

import gc
import sys

gc.disable()

import gaplab.builders  # noqa: E402
import gaplab.cli  # noqa: E402
import gaplab.evaluate  # noqa: E402
import gaplab.phenomena.catalogue  # noqa: E402
import gaplab.report  # noqa: E402
import gaplab.stacked.stacked_runs  # noqa: E402
import gaplab.sweeps.run_sweep  # noqa: E402
import gaplab.train  # noqa: E402, F401

gc.freeze()
gc.enable()

MODULES = frozenset(sys.modules)
