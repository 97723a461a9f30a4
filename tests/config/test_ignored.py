"""Keys that would be accepted and not used."""

import pytest

from gaplab.config.compose import compose_config
from gaplab.config.ignored import refuse_ignored
from gaplab.errors import ConfigError

XOR = "experiment=phenomena/xor"


@pytest.mark.parametrize(
    "word", ["optimizer.lr=5", "network.widths=[999]", "++trainer.max_steps=3", "data=ring"]
)
def test_a_phenomenon_refuses_what_it_does_not_read(word: str) -> None:
    words = [XOR, word]
    key = word.lstrip("+").split("=")[0]
    with pytest.raises(ConfigError, match=f"^{key}: expected a key that has an effect"):
        refuse_ignored(compose_config(words).config, words, stacked=False)


def test_a_phenomenon_takes_what_it_reads() -> None:
    words = [XOR, "seed=3", "phenomenon.num_seeds=2", "phenomenon.quick=true", "run.id=a", "tags=[b]"]
    refuse_ignored(compose_config(words).config, words, stacked=False)


def test_measuring_only_at_the_end_is_for_stacked_runs() -> None:
    words = ["trainer.test_only_at_end=true"]
    config = compose_config(words).config
    refuse_ignored(config, words, stacked=True)
    with pytest.raises(ConfigError, match=r"^trainer.test_only_at_end: expected false"):
        refuse_ignored(config, words, stacked=False)
