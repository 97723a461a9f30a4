"""The folder ``configs/`` of a user's own project stands beside that of gaplab."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from gaplab.config.projects import CONFIG_DIR, config_folders


class OwnConfigs(SearchPathPlugin):
    """Lets Hydra look into ``configs/`` of the current directory, for commands of gaplab only."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        main = [element.path or "" for element in search_path.get_path() if element.provider == "main"]
        if any(path.endswith(str(CONFIG_DIR)) for path in main):
            for folder in config_folders()[1:]:
                search_path.append("own", f"file://{folder}")
