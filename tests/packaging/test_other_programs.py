"""Other Hydra programs in the same environment do what they did before gaplab was installed."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import hydra
from hydra.core.config_store import ConfigStore

ConfigStore.instance().store(name="mine", node={"x": 0})

@hydra.main(config_path=None, config_name="mine", version_base="1.3")
def main(config):
    print("x is", config.x)

main()
"""


def test_a_multirun_of_another_program_is_hydras(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), "-m", "x=1,2", f"hydra.sweep.dir={tmp_path / 'swept'}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith("x is")]
    assert said == ["x is 1", "x is 2"]
    assert (tmp_path / "swept" / "1" / ".hydra" / "overrides.yaml").read_text() == "- x=2\n"
