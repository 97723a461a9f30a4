"""The folder ``configs/`` of a user's own project stands beside that of gaplab."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from gaplab.config.projects import config_folders, reads_configs_of_gaplab


class OwnConfigs(SearchPathPlugin):
    """Lets Hydra look into ``configs/`` of the current directory, for commands of gaplab only."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        if reads_configs_of_gaplab(search_path):
            for folder in config_folders()[1:]:
                search_path.append("own", f"file://{folder}")
