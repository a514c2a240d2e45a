"""What `jaxnet train` prints of a run: the plan before it, and the scores after it."""

from typing import TYPE_CHECKING, Any

from ..text import printable_lines


if TYPE_CHECKING:
    import numpy as np

    from ..runs import Row, Run


def print_plan(run: "Run", facts: dict[str, Any]) -> None:
    """The data, the network and the steps to come; and which settings were chosen rather than typed."""
    from ..losses import binary_cross_entropy, softmax_cross_entropy, squared_error
    from ..parameters import layer_dims
    from ..text import printable

    dataset, settings, dims = run.dataset, run.settings, layer_dims(run.first.parameters)
    m, held_out = len(run.train.labels), len(dataset.test.labels)
    shape = "x".join(map(str, dataset.input_shape))
    heads = {binary_cross_entropy: "sigmoid", softmax_cross_entropy: "softmax", squared_error: "linear"}
    head, predicted = heads[run.network.loss], ", ".join(dataset.classes or run.outputs)
    size = sum(value.size for value in run.first.parameters.values())
    watched = "" if run.watched_name == "test" else f"{len(run.watched.labels)} to validate on, "
    say(f"data      {dataset.description}")
    say(f"          {m} to train on, {watched}{held_out} to test on, of shape {shape}: {predicted}")
    for note in dataset.notes:
        say(f"          {note}")
    if settings.features is not None:
        print(f"features  {settings.features}, {dims[0]:,} per image, instead of its pixels")
    if settings.augment:
        print(f"augment   {_augmentation(run)}")
    print(f"network   {'-'.join(map(str, dims))}, {settings.hidden}, {head} output, {size:,} parameters")
    if run.by_class is not None:
        by_name = zip(map(printable, dataset.classes), run.by_class, strict=True)
        weights = ", ".join(f"{name} {weight:.6g}" for name, weight in by_name)
        print(f"weights   {weights}: factors of the loss of each class, in all costs")
    if run.target_scale is not None:
        print("          labels are standardised for training; predictions are in their original units")
    batch = f"batches of {run.batch_size}" if run.batch_size else f"all {m} examples"
    batch += f", shared by {settings.devices} devices" if settings.devices > 1 else ""
    method = "gradient descent" if settings.optimizer == "sgd" else settings.optimizer
    if settings.feedback != "backprop":
        print(f"feedback  {settings.feedback.replace('_', ' ')}, recorded every {settings.recorded_every} steps")
    if run.basis.size is not None:
        print(f"          inputs reduced {dims[0]} -> {run.basis.size}, lossless")
    schedule = "" if settings.schedule == "constant" else f", {settings.schedule} schedule"
    steps = f"{run.num_iterations} steps of {method}"
    print(f"training  {steps}, learning rate {settings.first_rate}, {batch}{schedule}")
    chosen = [_option(name, getattr(settings, name)) for name in facts["chosen"]]
    if chosen:
        print(f"chosen    automatically: {' '.join(chosen)}")


def _augmentation(run: "Run") -> str:
    if run.seen.views > 1:
        return f"features of {run.seen.views} views of each image, mirrored or moved; every step draws one"
    how = ["mirrored"] if run.settings.flip else []
    shift = getattr(run.config.augment, "shift", 0)
    how += [f"moved by up to {shift} pixel{'s' if shift > 1 else ''}"] if shift else []
    return f"images are {' and '.join(how)} at random, anew in every step"


def _option(name: str, value: Any) -> str:
    """As it would be typed."""
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{'' if value else 'no-'}{option}"
    return f"--{option} {' '.join(map(str, value)) if isinstance(value, tuple) else value}"


def print_scores(run: "Run", row: "Row", outputs: "np.ndarray") -> None:
    """How good the predictions are; `outputs` are those for the test examples."""
    from .. import runs

    labels, m = run.dataset.test.labels, len(run.train.labels)
    measured = runs.sample_size(run.train, run.watched, run.dtype)
    sample = "" if measured == m else f" (on {measured} of {m})"
    watched = "" if run.watched_name == "test" else f", {run.watched_name} {row.watched_accuracy:.4f}"
    if run.target_scale is None:
        test = float((outputs.argmax(axis=0) == labels).mean())
        print(f"accuracy  train {row.train_accuracy:.4f}{sample}{watched}, test {test:.4f}")
        return
    tested = runs.test_fit(run, outputs)
    print(f"R^2       train {row.train_accuracy:.4f}{sample}{watched}, test {tested.r2:.4f}")
    for name, fit in tested.fits.items():
        say(
            f"RMSE      {fit.rmse:.4g} in {name} over the test examples; always predicting their mean: {fit.spread:.4g}"
        )


def angles_text(row: dict[str, float]) -> str:
    """The angles of the errors that reach the hidden layers; of many, those of the first and the last layers."""
    shown = [f"dZ{l} {row[f'angle_dZ_{l}']:.0f}" for l in range(1, len(row)) if f"angle_dZ_{l}" in row]
    if len(shown) > 6:
        shown = [*shown[:3], "...", *shown[-2:]]
    return f"{', '.join(shown)} degrees from backpropagation's, before step {row['iteration']}"


def say(text: str) -> None:
    """Prints names that the user chose: what a terminal would act on is written out."""
    print(printable_lines(text))
