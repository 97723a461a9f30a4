"""How long one training step of one model takes when K small classifiers train at once.

Compares the eager step, the compiled step and, where JAX is installed, `jit(vmap(scan))` of the same training
(MLP 2-100-3, batch 64, Adam, data, order and hyperparameters per model). The contestants take turns within
one run, so that other load meets all of them; on a busy machine processor time is the figure to trust.

    PYTHONPATH=src python benchmarks/ensemble_core.py --models 128 512 --threads 1
"""

import argparse
import importlib.util
import time
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from gaplab.stacked.compile import CompiledFunction
from gaplab.stacked.update_rules import OptimizerState, Params, adam, initial_state, stack_hyperparameters

POINTS, BATCH, WIDTH, CLASSES, GATHERED = 300, 64, 100, 3, 20


network = nn.Sequential(nn.Linear(2, WIDTH), nn.ReLU(), nn.Linear(WIDTH, CLASSES))


def loss(params: Params, points: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(functional_call(network, params, (points,)), labels)


def training_step(
    carried: tuple[Params, OptimizerState], batch: tuple[Tensor, Tensor], hyper: dict[str, Tensor]
) -> tuple[tuple[Params, OptimizerState], Tensor]:
    params, state = carried
    gradients, losses = vmap(grad_and_value(loss))(params, *batch)
    return adam(params, gradients, state, hyper), losses


class ClassifierFunctions:
    """Data, order, start and hyperparameters of K models, the same for every contestant and on every device."""

    def __init__(self, num_models: int, steps: int, device: str = "cpu") -> None:
        g = torch.Generator().manual_seed(0)
        self.points = torch.randn(num_models, POINTS, 2, generator=g)
        self.labels = torch.randint(CLASSES, (num_models, POINTS), generator=g)
        self.order = torch.randint(POINTS, (num_models, steps, BATCH), generator=g)
        shapes = {name: p.shape for name, p in network.named_parameters()}
        self.params = {n: 0.3 * torch.randn(num_models, *s, generator=g) for n, s in shapes.items()}
        self.settings = {
            "lr": torch.rand(num_models, generator=g) * 1e-3,
            "weight_decay": torch.rand(num_models, generator=g) * 1e-3,
            "beta1": 0.8 + 0.1 * torch.rand(num_models, generator=g),
        }
        self.num_models, self.steps = num_models, steps
        self.points, self.labels, self.order = (t.to(device) for t in (self.points, self.labels, self.order))
        self.params = {name: p.to(device) for name, p in self.params.items()}
        self.settings = {name: value.to(device) for name, value in self.settings.items()}


def train(functions: ClassifierFunctions, step: CompiledFunction, chunk: int) -> Params:
    """Train chunk after chunk, so that the weights, moments and activations of a chunk stay in the cache."""
    finished = []
    for begin in range(0, functions.num_models, chunk):
        part = slice(begin, begin + chunk)
        params = {name: p[part] for name, p in functions.params.items()}
        size, device = len(functions.points[part]), functions.points.device
        own = {name: value[part] for name, value in functions.settings.items()}
        hyper = stack_hyperparameters("adam", size, own, device)
        carried = params, initial_state("adam", params)
        rows = torch.arange(size, device=device)[:, None] * POINTS
        for first in range(0, functions.steps, GATHERED):
            # As ``stacked.batches`` gathers them: compiled code gets the coordinates of points apart.
            chosen = (functions.order[part, first : first + GATHERED].transpose(0, 1) + rows).contiguous()
            points = (
                functions.points[part].view(-1, 2).index_select(0, chosen.view(-1)).view(*chosen.shape, 2)
            )
            points = points.mT.contiguous().mT if step.compile and device.type == "cpu" else points
            labels = functions.labels[part].view(-1).index_select(0, chosen.view(-1)).view(chosen.shape)
            carried, _ = step.scan(carried, zip(points, labels, strict=True), hyper)
        finished.append(carried[0])
    return {name: torch.cat([p[name] for p in finished]) for name in functions.params}


def jax_training(functions: ClassifierFunctions) -> Callable[[], Params]:
    """The same training as one `jit(vmap(scan))`, every array already on the device."""
    import jax
    import jax.numpy as jnp

    def train_one(params, points, labels, order, lr, weight_decay, beta1):  # type: ignore[no-untyped-def]
        def loss_of(p, x, y):  # type: ignore[no-untyped-def]
            hidden = jax.nn.relu(x @ p["0.weight"].T + p["0.bias"])
            logits = hidden @ p["2.weight"].T + p["2.bias"]
            return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1).mean()

        def step(carry, index):  # type: ignore[no-untyped-def]
            p, mean, square, t = carry
            t, over = t + 1, jax.tree.map
            g = over(lambda g, p: g + weight_decay * p, jax.grad(loss_of)(p, points[index], labels[index]), p)
            mean = over(lambda m, g: beta1 * m + (1 - beta1) * g, mean, g)
            square = over(lambda s, g: 0.999 * s + 0.001 * g * g, square, g)
            size, correction = lr / (1 - beta1**t), jnp.sqrt(1 - 0.999**t)
            p = over(lambda p, m, s: p - size * m / (jnp.sqrt(s) / correction + 1e-8), p, mean, square)
            return (p, mean, square, t), None

        zeros = jax.tree.map(jnp.zeros_like, params)
        return jax.lax.scan(step, (params, zeros, zeros, jnp.float32(0)), order)[0][0]

    run = jax.jit(jax.vmap(train_one))
    params = {name: jnp.asarray(p.cpu().numpy()) for name, p in functions.params.items()}
    drawn = (functions.points, functions.labels.int(), functions.order.int())
    data = [jnp.asarray(tensor.cpu().numpy()) for tensor in drawn]
    hyper = [jnp.asarray(value.cpu().numpy()) for value in functions.settings.values()]

    def call() -> Params:
        result = jax.block_until_ready(run(params, *data, *hyper))
        return {name: torch.from_numpy(jax.device_get(p).copy()) for name, p in result.items()}

    return call


def print_table(
    functions: ClassifierFunctions, results: dict[str, Params], turns: dict[str, list[tuple[float, float]]]
) -> None:
    """Fastest wall and processor time of each contestant; its first turn, which compiles, stands apart."""
    model_steps = functions.num_models * functions.steps
    reference = next(iter(results))
    print(f"\nK = {functions.num_models}, {functions.steps} steps; microseconds per model-step")
    print(
        f"{'':22}{'wall':>8}{'ratio':>7}{'cpu':>8}{'ratio':>7}{'first call s':>14}{'largest difference':>20}"
    )
    fastest = {name: [min(column) for column in zip(*t[1:], strict=True)] for name, t in turns.items()}
    for name, costs in fastest.items():
        cells = "".join(
            f"{cost / model_steps * 1e6:8.2f}{cost / of:7.2f}"
            for cost, of in zip(costs, fastest[reference], strict=True)
        )
        apart = max(float((results[name][k] - p).abs().max()) for k, p in results[reference].items())
        print(f"{name:22}{cells}{turns[name][0][0]:14.1f}{apart:20.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--chunk", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    has_jax = importlib.util.find_spec("jax") is not None
    if not has_jax:
        print("JAX is not installed, so its row is left out; `pip install jax` adds it.")
    for num_models in options.models:
        functions, chunk = ClassifierFunctions(num_models, options.steps), min(options.chunk, num_models)
        contestants: dict[str, Callable[[], Params]] = (
            {"jax jit(vmap(scan))": jax_training(functions)} if has_jax else {}
        )
        for name, compile in (("eager vmap", False), ("compiled vmap", True)):
            step = CompiledFunction(training_step, compile=compile)
            contestants[name] = partial(train, functions, step, chunk)
        results: dict[str, Params] = {}
        turns: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
        for _ in range(options.repeats + 1):
            for name, run in contestants.items():
                wall, cpu = time.perf_counter(), time.process_time()
                results[name] = run()
                turns[name].append((time.perf_counter() - wall, time.process_time() - cpu))
        print_table(functions, results, turns)


if __name__ == "__main__":
    main()
