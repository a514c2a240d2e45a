"""Why the course's 4-layer network learns nothing when its weights are drawn as in the 2-layer one, times 0.01.

    python examples/course_collapse.py DIR

DIR holds the course's train_catvnoncat.h5 and test_catvnoncat.h5. Prints, for weights of standard deviation 0.01 and
for "he", the sizes of the signals before training, and the result of 2,500 steps at rate 0.0075. With 0.01 the cost
stays at 0.644, the entropy of 72 cats among 209 images; no image is classified as a cat, and test accuracy is 0.34.
"""

import argparse
from pathlib import Path

import jax
import numpy as np

import jaxnet
from jaxnet.data import load_dataset, targets


LAYER_DIMS = (12288, 20, 7, 5, 1)


def read(directory: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    dataset = load_dataset(directory / "train_catvnoncat.h5", test_fraction=0.25, seed=0)
    splits = {"train": dataset.train, "test": dataset.test}
    return {
        name: (jaxnet.Preprocessing().columns(split.rows[:]), targets(split.labels, dataset.classes))
        for name, split in splits.items()
    }


def collapse(data: dict, init: str | float, seed: int = 1) -> dict:
    """The sizes, costs and accuracy under one initialisation, before and after training."""
    (X, Y), (test_X, test_Y) = data["train"], data["test"]
    start = jaxnet.initialize_parameters_deep(LAYER_DIMS, key=jax.random.key(seed), init=init)
    before = jax.jit(jaxnet.signal_sizes)(X, Y, start)
    parameters, costs = jaxnet.L_layer_model(X, Y, LAYER_DIMS, 0.0075, num_iterations=2500, parameters=start)
    AL, caches = jaxnet.L_model_forward(X, parameters)
    labels = np.asarray(jaxnet.predict(test_X, parameters))
    return {
        "Z": [float(size) for size in before.Z],
        "spread": float(before.spread[-1]),
        "dZ": [float(size) for size in before.dZ],
        "cost": float(jaxnet.compute_cost(AL, Y)),
        "first cost": float(costs[0]),
        "AL": (float(AL.min()), float(AL.max())),
        "spread after": float(np.std(caches[-1].Z)),
        "called cats": int(labels.sum()),
        "test accuracy": float((labels == test_Y).mean()),
    }


def entropy(share: float) -> float:
    """-p log p - (1 - p) log(1 - p): the cost of the best constant answer, p."""
    return float(-share * np.log(share) - (1 - share) * np.log(1 - share))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, metavar="DIR")
    data = read(parser.parse_args(arguments).directory)
    Y = data["train"][1]
    print(f"{int(Y.sum())} cats of {Y.size} images: entropy {entropy(float(Y.mean())):.4f}")
    for init in (0.01, "he"):
        seen = collapse(data, init)
        print(f"weights drawn with init={init!r}")
        print(f"  before   Z_1 ... Z_4 of size {', '.join(f'{size:.1e}' for size in seen['Z'])}")
        print(f"           Z_4 varies between the examples by {seen['spread']:.1e}")
        print(f"           dZ_1 ... dZ_4 of size {', '.join(f'{size:.1e}' for size in seen['dZ'])}")
        print(f"  after    cost {seen['cost']:.4f}, from {seen['first cost']:.4f}")
        print(
            f"           A_4 from {seen['AL'][0]:.4f} to {seen['AL'][1]:.4f}; Z_4 varies by {seen['spread after']:.1e}"
        )
        print(f"           {seen['called cats']} of 50 called cats; test accuracy {seen['test accuracy']:.2f}")


if __name__ == "__main__":
    main()
