"""What Hydra 1.3 and 1.4 want to be told differently."""

from inspect import signature
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore

DEFAULTS: dict[str, Any] = {"version_base": "1.3"} if hydra.__version__.startswith("1.3.") else {}
"""Arguments that ask for the defaults of 1.3: they are those of 1.4, which deprecates the argument."""
TRUSTED = ("hydra.*", "hydra_plugins.*", "optuna.samplers.*")
"""What Hydra may build of its own section ``hydra``: launchers, sweepers, callbacks, and Optuna's samplers."""
OF_MAIN = DEFAULTS | (
    {"execution_whitelist": TRUSTED} if "execution_whitelist" in signature(hydra.main).parameters else {}
)
_REPLACE: dict[str, Any] = {"replace": True} if "replace" in signature(ConfigStore.store).parameters else {}


def offer(name: str, node: Any, group: str | None = None) -> None:
    """Make a dataclass known to Hydra, in place of what had its name; ``hydra/launcher=basic`` is Hydra's, too."""
    store = ConfigStore.instance()
    store.store(group=group, name=name, node=node, provider="gaplab", **_REPLACE)
    # Each composition copies its sources, a fifth of its time for this store; what is read of it is a copy anyway.
    vars(store).setdefault("__deepcopy__", lambda memo: store)
