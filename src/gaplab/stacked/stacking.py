"""From K dictionaries of tensors to one whose first dimension counts the models, and back."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gaplab.stacked.update_rules import OptimizerState, Params


def stack(dictionaries: Sequence[Params], width: int) -> Params:
    """Stack equal dictionaries to tensors [width, ...]; copies of the first one fill what is left over."""
    filler = [dictionaries[0]] * (width - len(dictionaries))
    whole = [*dictionaries, *filler]
    return {name: torch.stack([one[name] for one in whole]) for name in whole[0]}


def fill(values: Tensor, width: int) -> Tensor:
    """Repeat the first of K values until there are ``width``."""
    return torch.cat([values, values[:1].expand(width - len(values), *values.shape[1:])])


def moved(tensors: Params, device: torch.device) -> Params:
    """Return a dictionary with its tensors on a device."""
    return {name: tensor.to(device) for name, tensor in tensors.items()}


def unstack(stacked: Params, index: int) -> Params:
    """Return copies of the tensors of one model."""
    return {name: tensor[index].clone() for name, tensor in stacked.items()}


def torch_state(
    rule: str, state: OptimizerState, index: int, names: Sequence[str], step_dtype: torch.dtype
) -> dict[int, Params]:
    """Return one model's moments as the ``state`` of its torch optimiser, numbered in order of ``names``.

    ``step_dtype`` is the type in which torch's Adam counts: its default where the optimiser first stepped.
    """
    steps = float(state.steps[index])
    if steps == 0:
        return {}
    result: dict[int, Params] = {}
    for number, name in enumerate(names):
        moments = {key: buffer[name][index].clone() for key, buffer in state.buffers.items()}
        if rule in ("adam", "adamw"):
            result[number] = {
                "step": torch.tensor(steps, dtype=step_dtype),
                "exp_avg": moments["mean"],
                "exp_avg_sq": moments["square"],
            }
        else:
            result[number] = {"momentum_buffer": moments["momentum"]}
    return result


def stacked_state(
    states: Sequence[dict[int, dict[str, Tensor]]], start: OptimizerState, names: Sequence[Sequence[str]]
) -> OptimizerState:
    """Put moments saved by ``torch_state`` (or by the torch optimiser itself) into a fresh stacked state.

    SGD without momentum keeps none in torch; they stay zero, as the next step would make them.
    """
    keys = {"mean": "exp_avg", "square": "exp_avg_sq", "momentum": "momentum_buffer"}
    for index, saved in enumerate(states):
        for number, name in enumerate(names[index]):
            entry = saved.get(number, {})
            if "step" in entry:
                start.steps[index] = float(entry["step"])
            for key, buffer in start.buffers.items():
                moment = entry.get(keys[key])
                if moment is not None:
                    buffer[name][index] = moment.to(buffer[name])
    return start


def rows_of(stacked: Params, rows: Tensor) -> Params:
    """Return the tensors of some models, still stacked."""
    return {name: tensor[rows] for name, tensor in stacked.items()}
