"""A record of a run made by the tests, and the page of a report as they read it."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from jaxnet.runs.report import Record

from .images import drawn_images


NO_ROWS = {
    "iteration": np.zeros(0),
    "cost": np.zeros(0),
    "train_accuracy": np.zeros(0),
    "watched_accuracy": np.zeros(0),
}
ONE_ROW = {"iteration": np.array([5]), "cost": np.array([0.5]), "train_accuracy": np.array([1.0])}
BARE = {"history": NO_ROWS, "costs": np.zeros(0)}  # whose page has two figures, which take as long as all else


def record(m: int = 12, classes: tuple[str, ...] = ("cat", "dog"), shape=(6, 5, 3), **changes) -> Record:
    """Of a network that is 90 % sure of the right class, and as sure of the next one for every fourth example."""
    images, labels = drawn_images(m, shape, len(classes))
    said = (labels + (np.arange(m) % 4 == 3)) % len(classes)
    probabilities = np.where(np.arange(len(classes))[:, None] == said, 0.9, 0.1 / max(1, len(classes) - 1))
    steps = np.arange(1, 4) * 100
    history = {"iteration": steps, "cost": 50 / steps, "train_accuracy": steps / 400}
    history |= {"watched_cost": 60 / steps, "watched_accuracy": steps / 500}
    history |= {f"gradient_norm_{l}": l / steps for l in (1, 2)} | {"dead_share_1": steps / 1000}
    made = Record(
        title="A run",
        summary=(("data", "12 photographs"), ("network", "90-4-1")),
        settings={"learning_rate": 0.0075, "batch_size": None},
        versions={"jax": "0.10.2"},
        costs=1 / np.arange(1.0, 301),
        history=history,
        watched="validation",
        classes=classes,
        input_shape=shape,
        labels=labels,
        probabilities=probabilities,
        images=images,
        names=tuple(f"photo {i}.jpg" for i in range(m)),
        W1=np.linspace(-1, 1, 4 * int(np.prod(shape))).reshape(4, -1),
        check="dW1   0.5 roundings  agrees",
    )
    return made._replace(**changes)


class Page(HTMLParser):
    """The tags of a page, its text, and that every tag is closed by its own."""

    VOID = {"meta", "link", "img", "br", "input"}

    def __init__(self, path: Path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.open, self.tags, self.texts = [], [], []
        self.feed(self.source)
        self.close()
        assert self.open == []
        self.text = re.sub(r"\s+", " ", " ".join(self.texts))

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]
