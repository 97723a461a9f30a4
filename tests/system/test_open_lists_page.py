"""Every command of docs/open_lists.md is accepted, and every refusal that it names is one."""

import re
import shlex

import pytest

from gaplab.config.compose import compose_config
from gaplab.config.registry import PROJECT_ROOT
from gaplab.errors import ConfigError

PAGE = (PROJECT_ROOT / "docs" / "open_lists.md").read_text()
COMMANDS = re.findall(r"^python train\.py (.*)$", PAGE, flags=re.MULTILINE)
REFUSED = re.findall(r"^\| `([^`]*=[^`]*)`", PAGE.partition("## What is refused")[2], flags=re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_accepted(command: str) -> None:
    compose_config(shlex.split(command))


@pytest.mark.parametrize("words", REFUSED)
def test_a_refusal_is_one(words: str) -> None:
    with pytest.raises(ConfigError, match=r"(callbacks|optimizer|schedule|trainer)\S*: "):
        compose_config(words.split())
