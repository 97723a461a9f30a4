"""Hidden activations of test points for TensorBoard's projector."""

from lightning.pytorch import Callback, LightningModule, Trainer

from gaplab.networks.hidden_outputs import hidden_outputs
from gaplab.tensorboard.loggers import event_writer

MOST_POINTS = 300
"""The page reads text files and draws every point with its label."""


class Projector(Callback):
    """Writes, at the end of a classifier's run, the outputs of the last hidden layer with true and predicted class."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        writer = event_writer(trainer)
        if writer is None:
            return
        test = trainer.datamodule.splits["test"]  # type: ignore[attr-defined]
        test = test[slice(None, None, -(-len(test) // MOST_POINTS))]
        layers = hidden_outputs(pl_module, pl_module, test.points)
        if not layers:
            return
        name, outputs = list(layers.items())[-1]
        training = pl_module.training
        pl_module.eval()
        predicted = pl_module(test.points).argmax(dim=1).tolist()
        pl_module.train(training)
        labels = test.labels.tolist()
        rows = [
            [true, guess, "right" if true == guess else "wrong"]
            for true, guess in zip(labels, predicted, strict=True)
        ]
        writer.add_embedding(
            outputs.float(),
            metadata=rows,
            metadata_header=["class", "predicted", "verdict"],
            global_step=trainer.global_step,
            tag=name.replace(".", "_"),
        )
