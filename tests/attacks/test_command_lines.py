"""Random command lines: each is composed, or refused in one line that says something."""

import random
from collections.abc import Iterator

import pytest

from gaplab.config.command_line import read_command_line
from gaplab.config.compose import compose_config
from gaplab.config.ignored import refuse_ignored
from gaplab.config.registry import CHOICES
from gaplab.errors import ConfigError

VALUES = (
    *(
        "",
        "0",
        "1",
        "-1",
        "3",
        "2.5",
        "1e400",
        "-0.0",
        "nan",
        "inf",
        "1e-320",
        "99999999999999999999999",
        "null",
    ),
    *(
        "true",
        "yes",
        "fast",
        "[]",
        "[1]",
        "[0]",
        "[-1]",
        "[[1]]",
        "[null]",
        "{}",
        "{a:1}",
        "'",
        '"',
        "a b",
        "é",
        "\t",
    ),
    *(
        "${seed}",
        "${nope}",
        "${task}",
        "${oc.env:HOME}",
        "${",
        "???",
        "1,2",
        "range(0,3)",
        "glob(*)",
        "../x",
        "/",
        ".",
    ),
    *(
        "_target_",
        "!!python/name:os.system",
        "a" * 300,
        "0x10",
        "1_000",
        "[1,2",
        "choice(1,2)",
        "~",
        "*",
        "\\",
    ),
)
PREFIXES = ("", "", "", "", "+", "++", "~")
FLAGS = (
    "-m",
    "--cfg",
    "--cfg=job",
    "--info",
    "--help",
    "--nope",
    "--config-dir=x",
    "-c",
    "--resolve",
    "--run",
    "--",
    "-",
)


def random_lines(count: int, seed: int) -> Iterator[list[str]]:
    """Lines of one to four words: keys and groups that exist or nearly so, with values that fit or do not."""
    rng = random.Random(seed)
    keys = known_keys()
    groups = [
        *CHOICES,
        "experiment",
        "debug",
        "cluster",
        "optimizer@task.discriminator_optimizer",
        "hydra/launcher",
    ]
    for _ in range(count):
        words = []
        for _ in range(rng.randint(1, 4)):
            if rng.random() < 0.1:
                words.append(rng.choice(FLAGS))
                continue
            if rng.random() < 0.25:
                group = rng.choice(groups)
                names = [*CHOICES.get(group, []), "xor", "phenomena/xor", *VALUES]
                words.append(f"{rng.choice(PREFIXES)}{group}={rng.choice(names)}")
                continue
            key = rng.choice(keys)
            if rng.random() < 0.1:
                place = rng.randrange(len(key))
                key = key[:place] + key[place + 1 :]
            equals = "=" if rng.random() < 0.95 else ""
            words.append(f"{rng.choice(PREFIXES)}{key}{equals}{rng.choice(VALUES)}")
        yield words


def known_keys() -> list[str]:
    """Every key of the default experiment and of a GAN, by its dotted name."""
    keys: set[str] = set()

    def collect(content: dict[str, object], prefix: str) -> None:
        for key, value in content.items():
            keys.add(f"{prefix}{key}")
            if isinstance(value, dict):
                collect(value, f"{prefix}{key}.")

    for words in ([], ["task=gan"]):
        collect(compose_config(words).resolved, "")
    return sorted(keys - {"choices"})


@pytest.mark.parametrize("count", [30, pytest.param(600, marks=pytest.mark.thorough)])
def test_a_command_line_is_composed_or_refused(count: int) -> None:
    refusals = []
    for words in random_lines(count, seed=0):
        try:
            command = read_command_line(words)
            if not command.flags:
                refuse_ignored(compose_config(command.overrides).config, command.overrides, stacked=False)
        except ConfigError as error:
            refusals.append((words, str(error)))
        except Exception as error:
            raise AssertionError(f"{words} gave {error!r}") from error
    assert 0 < len(refusals) < count, "some lines are sound, and some are not"
    assert [one for one in refusals if len(one[1]) < 10 or "\n" in one[1]] == []
