"""Turn the exceptions of Hydra and OmegaConf into one sentence each that a tired person understands."""

import re
from dataclasses import fields, is_dataclass

from hydra.errors import OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from gaplab.config.checks import nearest
from gaplab.config.projects import config_folders
from gaplab.config.registry import CHOICES
from gaplab.config.renamed import VALUES, new_choice, new_key
from gaplab.errors import ConfigError


def explain(error: BaseException) -> ConfigError:
    """Return a ``ConfigError`` that says what is wrong, where, and what to do."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    own = next((link for link in chain if isinstance(link, ConfigError)), None)
    if own is not None:
        return own
    place = _config_file(str(error))
    inner = next((link for link in chain if isinstance(link, OmegaConfBaseException)), None)
    for text in (
        _missing_option(str(error)),
        _unknown_key(inner, str(error)) if inner is not None else None,
        _wrong_value(inner, str(error)) if inner is not None else None,
        _bad_override(error),
    ):
        if text is not None:
            return ConfigError(place + text)
    return ConfigError(place + " ".join(str(error).split()))


def _config_file(message: str) -> str:
    match = re.match(r"In '([^']+)': \w+ raised while composing", message)
    return f"configs/{match[1]}.yaml: " if match else ""


def _missing_option(message: str) -> str | None:
    match = re.search(r"Could not find '([^']+)'\n+Available options in '([^']+)':\n(.*)", message, re.DOTALL)
    if match:
        group, name = match[2], match[1].removeprefix(match[2] + "/")
        if (new := new_choice(group, name)) is not None:
            return f"{group}: {group}={name} is called {group}={new} now."
        options = match[3].split("Config search path")[0].split() + _options_below(group)
        same = [f" Did you mean '{option}'?" for option in options if option.endswith(f"/{name}")]
        hint = "".join(same) or nearest(name, options)
        if (group, name) == ("hydra/sweeper", "optuna"):
            hint = " It comes with the extra optuna: pip install -e '.[optuna]'."
        return f"{group}: expected one of {', '.join(options)}, but got {name!r}.{hint}"
    match = re.search(r"Could not find '([^']+)'", message)
    if match:
        return f"{match[1]}: there is no such file or choice below configs/."
    match = re.search(r"Could not override '([^']+)'\.\s*No match in the defaults list", message)
    if match:
        return f"{match[1]}: there is no group of this name. Groups are listed by --help."
    return None


def _options_below(group: str) -> list[str]:
    """Return the options in subfolders of a group, which Hydra does not list."""
    return [
        file.relative_to(folder / group).with_suffix("").as_posix()
        for folder in config_folders()
        for file in sorted((folder / group).glob("*/*.yaml"))
    ]


def _unknown_key(inner: OmegaConfBaseException, message: str) -> str | None:
    match = re.search(r"Key '([^']+)' (?:is )?not in (?:'(\w+)'|struct)", str(inner))
    if not match:
        return None
    override = re.search(r"Could not override '([^']+)'", message)
    full = override[1] if override else (str(inner.full_key) if inner.full_key else match[1])
    if (new := new_key(full)) is not None:
        return f"{full}: this key is called {new} now."
    schema = inner.object_type
    names = [f.name for f in fields(schema)] if isinstance(schema, type) and is_dataclass(schema) else []
    known = f" The keys are: {', '.join(names)}." if names else ""
    owner = f"a key of {match[2]}" if match[2] else "a known key"
    hint = nearest(match[1], names) or _home_of(match[1], full)
    return f"{full}: expected {owner}, but there is no such key.{hint}{known}"


def _home_of(key: str, full: str) -> str:
    """Return a hint at the section, or the option of its group, that has a key of this name."""
    for group, options in CHOICES.items():
        having = [name for name, schema in options.items() if key in {field.name for field in fields(schema)}]
        if having and full == f"{group}.{key}":
            return f" It is a key of {' and '.join(f'{group}={name}' for name in having)}."
        if having:
            return f" Did you mean '{group}.{key}'?"
    return ""


def _wrong_value(inner: OmegaConfBaseException, message: str) -> str | None:
    override = re.search(r"Error merging override [+~]*([^=\s]+)=", message)
    key = str(inner.full_key) if inner.full_key else (override[1] if override else "")
    text = str(inner.msg or inner).splitlines()[0]
    choice = re.search(r"Invalid value '([^']*)', expected one of \[([^\]]*)\]", text)
    if choice:
        options = choice[2].split(", ")
        new = VALUES.get(key, {}).get(choice[1])
        hint = nearest(choice[1], options) if new is None else f" It is called {new!r} now."
        return f"{key}: expected one of {', '.join(options)}, but got {choice[1]!r}.{hint}"
    wrong = re.search(
        r"Value '([^']*)' of type '(\w+)' (?:could not be converted to|is not a subclass of) (\w+)", text
    )
    if wrong:
        return f"{key}: expected {_SPOKEN.get(wrong[3], wrong[3])}, but got {wrong[1]!r}."
    given = re.search(r"Error merging override [^=\s]+=(.*)", message)
    if "is not a ListConfig" in text:
        return f"{key}: expected a list, for example [50,50]{f', but got {given[1]!r}' if given else ''}."
    if "is not a valid bool" in text:
        return f"{key}: expected true or false, but got {given[1] if given else text!r}."
    if re.search(r"Cannot set '[^']+' because '[^']+' is None", text):
        return f"{key}: {_NULL_SECTION}"
    if "is not Optional" in text:
        return f"{key}: expected a value, but got null."
    missing = re.search(r"Interpolation key '([^']+)' not found", text)
    if missing:
        return f"{key}: the key {missing[1]!r} that it refers to does not exist."
    return f"{key}: {text}" if key else text


def _bad_override(error: BaseException) -> str | None:
    group = re.search(r"Config group override must be a string or a list. Got (\w+)", str(error))
    if group:
        return f"expected the name of an option after group=, but got a value of type {group[1]}."
    if isinstance(error, AssertionError | TypeError | AttributeError | KeyError):
        if "Unexpected type for root: NoneType" in str(error):
            return _NULL_SECTION
        return "expected key=value as Hydra takes it."
    if not isinstance(error, OverrideParseException):
        return None
    return (
        f"{error.override!r}: expected key=value. Quote what the shell or Hydra could take for its own, for "
        "example 'network.widths=[50,50]'."
    )


_NULL_SECTION = (
    "expected a section that has keys, but it is null. Choose first what fills it, as in "
    "optimizer@task.discriminator_optimizer=adam."
)
_SPOKEN = {
    "Integer": "a whole number",
    "Float": "a number",
    "Boolean": "true or false",
    "String": "a text",
}
