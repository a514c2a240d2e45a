"""Small tables made by the tests, and targets that a network can learn."""

from pathlib import Path

import numpy as np


CITIES = ("Bern", "Oslo", "Rome")


def drawn_rows(m: int = 48, seed: int = 0) -> list[dict[str, object]]:
    """Rooms, city and age; a price that is nearly linear in them, a kind of three classes, and stars from 0 to 3."""
    generator = np.random.default_rng(seed)
    rows = []
    for i in range(m):
        rooms, city, age = 1 + i % 5, CITIES[i % 3], float(generator.uniform(0, 90))
        price = 1000 * rooms + 500 * (i % 3) - 10 * age + float(generator.normal())
        kind = ("flat", "house", "loft")[i % 3]
        rows.append({"rooms": rooms, "city": city, "age": age, "price": price, "kind": kind, "stars": i % 4})
    return rows


def csv_of(rows: list[dict[str, object]], only: tuple[str, ...] = ("rooms", "city", "age", "price")) -> str:
    """The columns named, as a CSV file."""
    return "\n".join([",".join(only), *(",".join(str(row[name]) for name in only) for row in rows)]) + "\n"


def write_csv(path: Path, rows: list[dict[str, object]] | None = None, **kwargs) -> Path:
    path.write_text(csv_of(drawn_rows() if rows is None else rows, **kwargs))
    return path


def write_regression(path: Path, outputs: int = 1, m: int = 40, scale: float = 300.0, offset: float = 1500.0) -> Path:
    """X, (3, m), and targets that are linear in it."""
    generator = np.random.default_rng(1)
    X = generator.normal(size=(3, m)).astype(np.float32)
    Y = scale * (generator.normal(size=(outputs, 3)) @ X) + offset
    np.savez(path, X=X, Y=Y[0] if outputs == 1 else Y)
    return path
