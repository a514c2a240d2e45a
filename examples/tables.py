"""Tables: what `jaxnet train table.csv --label column` reaches, beside scikit-learn's MLP on the same split.

    python examples/tables.py [--seeds 5]

Three data sets that come with scikit-learn are written as CSV files: diabetes (442 patients, the progression of the
disease, a number), breast cancer (569 tumours of two kinds) and wine (178 wines of three cultivars). For every seed, a
quarter of the rows is held out, jaxnet trains on the others by the command it prints, and so do MLPRegressor and
MLPClassifier with their defaults, behind a StandardScaler. Prints R^2 or accuracy on the held-out rows, the mean over
the seeds and the standard deviation:

    diabetes       R^2       jaxnet 0.502 ± 0.066   scikit-learn -0.978 ± 0.184
                          with standardised labels   scikit-learn 0.485 ± 0.076
    breast cancer  accuracy  jaxnet 0.976 ± 0.015   scikit-learn 0.977 ± 0.014
    wine           accuracy  jaxnet 0.982 ± 0.017   scikit-learn 0.982 ± 0.017

MLPRegressor's default of 200 epochs ends before its outputs have reached the size of the labels.
"""

import argparse
import contextlib
import io
import tempfile
import warnings
from pathlib import Path

import numpy as np

from jaxnet import load_model
from jaxnet.cli import main as jaxnet
from jaxnet.data import load_table
from jaxnet.runs.report import fit_of


LABELS = {"diabetes": "progression", "breast cancer": "diagnosis", "wine": "cultivar"}


def write_tables(folder: Path) -> dict[str, Path]:
    """The CSV files by the names of their data: numbers as they were measured, and the patients' sex in letters."""
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

    paths = {}
    for (name, label), loaded in zip(
        LABELS.items(), (load_diabetes(scaled=False), load_breast_cancer(), load_wine()), strict=True
    ):
        names = getattr(loaded, "target_names", None)
        targets = loaded.target if names is None else names[loaded.target]
        lines = [",".join([*loaded.feature_names, label])]
        for values, target in zip(loaded.data, targets, strict=True):
            cells = [f"{value:g}" for value in values]
            if name == "diabetes":
                cells[loaded.feature_names.index("sex")] = "fm"[int(values[1]) - 1]
            lines.append(",".join([*cells, str(target)]))
        paths[name] = folder / f"{name.replace(' ', '_')}.csv"
        paths[name].write_text("\n".join(lines) + "\n")
    return paths


def by_jaxnet(path: Path, label: str, seed: int) -> float:
    """R^2 or accuracy on the rows that the command held out."""
    out = path.with_suffix("")
    options = ["--label", label, "--seed", str(seed), "--out", str(out), "--overwrite"]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        if jaxnet(["train", str(path), *options]) != 0:
            raise SystemExit(f"jaxnet train {path} failed")
    dataset, model = load_table(path, labels=[label], test_fraction=0.25, seed=seed), load_model(out)
    return score(dataset.test.labels, model.probabilities(dataset.test.rows))


def score(labels: np.ndarray, outputs: np.ndarray) -> float:
    if labels.ndim == 2:
        return fit_of(labels[:, 0], outputs[0].astype(float)).r2
    return float((outputs.argmax(axis=0) == labels).mean())


def by_scikit_learn(path: Path, label: str, seed: int, standardised: bool = False) -> float:
    """The same split by MLPRegressor or MLPClassifier with its defaults; regression targets may be standardised too."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    dataset = load_table(path, labels=[label], test_fraction=0.25, seed=seed)
    network = MLPClassifier if dataset.classes else MLPRegressor
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = make_pipeline(StandardScaler(), network(random_state=seed))
        if standardised:
            fitted = TransformedTargetRegressor(fitted, transformer=StandardScaler())
        fitted.fit(dataset.train.rows, dataset.train.labels if dataset.classes else dataset.train.labels[:, 0])
    return float(fitted.score(dataset.test.rows, dataset.test.labels if dataset.classes else dataset.test.labels[:, 0]))


def shown(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    try:
        import sklearn
    except ImportError as error:
        raise SystemExit("the tables come with scikit-learn: pip install scikit-learn") from error
    print(f"jaxnet train TABLE.csv --label COLUMN, scikit-learn {sklearn.__version__}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for data, path in write_tables(folder).items():
            kind = "R^2" if data == "diabetes" else "accuracy"
            ours = [by_jaxnet(path, LABELS[data], seed) for seed in seeds]
            theirs = [by_scikit_learn(path, LABELS[data], seed) for seed in seeds]
            print(f"{data:14} {kind:9} jaxnet {shown(ours)}   scikit-learn {shown(theirs)}", flush=True)
            if data == "diabetes":
                theirs = [by_scikit_learn(path, LABELS[data], seed, standardised=True) for seed in seeds]
                print(f"{'':21} with standardised labels   scikit-learn {shown(theirs)}", flush=True)


if __name__ == "__main__":
    main()
