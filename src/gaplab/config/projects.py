"""The folder in which a command runs may be a project of the user's own: its ``configs/`` and its extensions count."""

from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath

from gaplab.config.registry import PROJECT_ROOT

CONFIG_DIR = PROJECT_ROOT / "configs"


def config_folders() -> list[Path]:
    """Return the folders in which Hydra looks for YAML: gaplab's, then ``configs/`` of the current directory."""
    own = Path.cwd() / "configs"
    return [CONFIG_DIR] if own.resolve() == CONFIG_DIR or not own.is_dir() else [CONFIG_DIR, own]


def reads_configs_of_gaplab(search_path: ConfigSearchPath) -> bool:
    """Return whether a program of Hydra's is one of gaplab: its plugins are found by all that an environment has."""
    main = [element.path or "" for element in search_path.get_path() if element.provider == "main"]
    return any(path.endswith(str(CONFIG_DIR)) for path in main)


def project_files() -> list[Path]:
    """Return the ``pyproject.toml`` of gaplab's checkout and of the current directory, as far as they exist."""
    files = dict.fromkeys((folder / "pyproject.toml").resolve() for folder in (PROJECT_ROOT, Path.cwd()))
    return [file for file in files if file.is_file()]
