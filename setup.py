"""What pyproject.toml cannot say: the wheel holds the folder ``configs/`` as ``gaplab/configs``."""

from pathlib import Path
from shutil import copytree

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """Copies ``configs/`` into the package; an editable installation reads it where it stands."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            copytree("configs", Path(self.build_lib) / "gaplab" / "configs", dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithConfigs})
