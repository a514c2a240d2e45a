"""The text of `jaxnet inspect`: tables of sizes, and verdicts in words."""

import itertools
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .inspect_inputs import Inputs, Subject
from .options import INITS


if TYPE_CHECKING:
    import numpy as np

    from ..diagnosis import Health, Setup, Way
    from ..network import Network
    from ..signals import Profile, SingularValues


MOST_ROWS = 12
WIDTH = 110  # of the text


def written(init: str | float) -> str:
    """An init as it is typed after --init."""
    return init if isinstance(init, str) else f"{init:g}"


def network_text(
    subject: Subject,
    inputs: Inputs,
    profile: "Profile",
    values: "SingularValues | None",
    map_values: "np.ndarray | None",
) -> str:
    """One row per layer, and the verdicts. Without singular values where the matrices are too large for them."""
    from ..diagnosis import health_of

    weights = "random weights of this size" if subject.model else "weights drawn like these"
    about = [
        ("network", subject.name),
        ("inputs", f"{inputs.description}; X of size {number(profile.X)}"),
        (
            "sizes",
            f"root mean squares over units and examples. Theory: expected for {weights}, in wide layers. Spread: of "
            "Z over the examples. Closed: share of Z where the slope of the activation is below 1/20 of its largest. "
            "Dead: units whose slope is 0 for every example. Step: ||dW|| / ||W||, of a step of rate 1",
        ),
    ]
    health = health_of(profile)
    verdicts = [*_verdicts(subject, profile, health), *_map_verdict(len(profile.measured.Z), map_values)]
    verdicts += _to_do(subject, profile, health)
    return "\n".join([*paragraphs(about), "", *_table(subject, profile, values), "", *paragraphs(verdicts)])


def paragraphs(named: Sequence[tuple[str, str]]) -> list[str]:
    """Lines of text, with the name of its subject beside each paragraph."""
    return [
        line
        for name, text in named
        for line in textwrap.wrap(
            text,
            WIDTH,
            initial_indent=f"{name:10}",
            subsequent_indent=" " * 10,
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]


def _table(subject: Subject, profile: "Profile", values: "SingularValues | None") -> list[str]:
    measured, expected = profile.measured, profile.expected
    L = len(measured.Z)
    head = ["layer", "units", "Z", "theory", "spread", "closed", "dead", "dZ", "theory", "step"]
    rows = [[*head, "singular values of W"] if values else head]
    for l in _shown(L):
        i = l - 1
        hidden = [f"{measured.closed[i]:.0%}", f"{measured.dead[i]:.0%}"] if l < L else ["", ""]
        forward = [number(column[i]) for column in (measured.Z, expected.Z, measured.spread)]
        backward = [number(column[i]) for column in (measured.dZ, expected.dZ, measured.ratio)]
        stretch = [f"{number(values.largest[i])} to {number(values.smallest[i])}"] if values else []
        rows.append([str(l), str(_units(subject)[i]), *forward, *hidden, *backward, *stretch])
    return aligned(rows)


def _shown(L: int) -> list[int]:
    """All layers, or as many as fit on a screen, including the first and the last."""
    if L <= MOST_ROWS:
        return list(range(1, L + 1))
    return sorted({1 + round(i * (L - 1) / (MOST_ROWS - 1)) for i in range(MOST_ROWS)})


def number(x: Any) -> str:
    """Two digits; 0, infinity and NaN as symbols."""
    x = float(x)
    if x == 0 or not math.isfinite(x):
        return {0.0: "0", math.inf: "inf"}.get(x, "-")
    return f"{x:.2g}" if 1e-2 <= x < 1e4 else f"{x:.1e}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns two spaces apart, all flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _verdicts(subject: Subject, profile: "Profile", health: "Health") -> list[tuple[str, str]]:
    from ..diagnosis import command, symptom_line

    measured, (forward, backward) = profile.measured, health[:2]
    L, dtype = len(measured.Z), str(measured.Z.dtype)
    verdicts = [("forward", _described(forward, f"Z_{L} is {{}} times X", dtype, "on"))]
    if backward.state == "-":
        lost = f"dZ_{L} is 0" if measured.dZ[-1] == 0 else f"the forward pass has left the range of {dtype}"
        verdicts.append(("backward", f"nothing comes back: {lost}"))
    elif L > 1:
        end = "what reaches layer 1 is {} times what started"
        verdicts.append(("backward", _described(backward, end, dtype, "down")))
    if health.same_output:
        same = f"the same for every example: Z_{L} varies by {number(health.spread)} between them"
        verdicts.append(("output", f"{same}. So what is learnt first is b_{L}, one answer to all of them"))
    if health.flat and forward.lost is None:
        share, l = health.flattest
        verdicts.append(("slopes", f"in layer {l}, {share:.0%} of Z lies where {subject.activation} is flat"))
    return verdicts + [("training", symptom_line(symptom, command)) for symptom in subject.symptoms]


def _to_do(subject: Subject, profile: "Profile", health: "Health") -> list[tuple[str, str]]:
    """Nothing where signals are healthy, or where what was wrong with the training says it already."""
    if health.healthy or subject.symptoms:
        return []
    return [("to do", _advice(subject, profile))]


def _map_verdict(L: int, values: "np.ndarray | None") -> list[tuple[str, str]]:
    import numpy as np

    if values is None or not np.isfinite(values).all():
        return []
    largest, smallest = float(values[0]), float(values[-1])
    rounding = len(values) * float(np.finfo(values.dtype).eps) * largest
    shown = f"below {number(rounding)}" if smallest < rounding else number(smallest)
    text = f"from X to Z_{max(L - 1, 1)}, at the first example: singular values {number(largest)} to {shown}, "
    return [("map", f"{text}{int((values > largest / 100).sum())} of {len(values)} above a hundredth of the largest")]


def _described(way: "Way", end: str, dtype: str, onward: str) -> str:
    """What becomes of a size; `onward` is "on" or "down", the direction of its way."""
    factor = "" if math.isnan(way.factor) else f"a layer multiplies it by {number(way.factor)}; "
    if way.lost is None:
        return f"{way.state}: {factor}{end.format(number(way.share))}"
    if way.dead:
        return f"stops: {_lost(way, onward)}"
    if way.share == 0:
        return f"vanishes: {factor}{_lost(way, onward)} it is below {_smallest(dtype)}, which is 0 in {dtype}"
    return f"explodes: {factor}{_lost(way, onward)} it is beyond the range of {dtype}"


def _lost(way: "Way", onward: str) -> str:
    return f"all units of layer {way.layer} are dead" if way.dead else f"from layer {way.layer} {onward}"


def _smallest(dtype: str) -> str:
    import jax.numpy as jnp

    return f"{float(jnp.finfo(dtype).tiny):.1e}"


def _advice(subject: Subject, profile: "Profile") -> str:
    dims = [subject.parameters["W1"].shape[1], *_units(subject)]
    advice = advice_for(dims, subject.network, subject.activation, float(profile.X), subject.setup)
    return f"train anew: {advice}" if subject.model else advice


def advice_for(
    dims: Sequence[int], network: "Network", activation: str, X_size: float = 1.0, setup: "Setup | None" = None
) -> str:
    """The init under which theory expects sizes to change least, and what else to do where it was taken already."""
    from ..diagnosis import Setup, best_init, command, signal_remedies

    best = best_init(X_size, dims, network)
    if best is None:
        return (
            f"no --init of {', '.join(INITS)} keeps sizes through {len(dims) - 1} layers of {activation}; take "
            "fewer, or relu with he, or tanh with xavier"
        )
    remedies = signal_remedies(best, Setup() if setup is None else setup)
    if not remedies:
        return f"another --seed, or wider layers: theory expects {best.init} to keep sizes, on average over the draws"
    typed = " ".join(map(command, remedies))
    if remedies[0].setting != "init":
        return (
            f"{typed}: it was drawn with --init {best.init}, which theory expects to keep sizes; training changed them"
        )
    back = "" if math.isnan(best.backward) else f", by {best.backward:.3g} back"  # one layer has no way back
    return f"{typed}: theory expects a layer to multiply by {best.forward:.3g} forward{back}"


def _units(subject: Subject) -> list[int]:
    return [subject.parameters[f"W{l}"].shape[0] for l in range(1, len(subject.parameters) // 2 + 1)]


def depth_text(name: str, inputs: str, advice: str, profiles: Mapping[str, Mapping[int, "Profile"]]) -> str:
    """One row per init, with what arrives at each depth, and the verdicts."""
    from ..diagnosis import backward_way, forward_way

    some = next(iter(profiles.values()))
    deepest, dtype = max(some), str(some[max(some)].measured.Z.dtype)
    shares = [["init", *itertools.chain.from_iterable((f"Z_{L}", "dZ_1") for L in some)]]
    verdicts = [[f"{deepest} layers", "Z_l", "a layer", "theory", "dZ_l", "a layer", "theory", ""]]
    for init, by_depth in profiles.items():
        ways = [(forward_way(profile), backward_way(profile)) for profile in by_depth.values()]
        shares.append([init, *(number(way.share) for pair in ways for way in pair)])
        verdicts.append([init, *_depth_verdict(by_depth[deepest], dtype)])
    about = [
        ("networks", f"{name}; {', '.join(map(str, some))} layers"),
        ("inputs", inputs),
        (
            "sizes",
            "root mean squares. Z_L: of the logits, over that of X. dZ_1: of the error in layer 1, over that of "
            "dZ_L, with which it started. A layer: what one multiplies the size by",
        ),
    ]
    return "\n".join(
        [*paragraphs(about), "", *aligned(shares), "", *aligned(verdicts), "", *paragraphs([("to do", advice)])]
    )


def _depth_verdict(profile: "Profile", dtype: str) -> list[str]:
    from ..diagnosis import backward_way, forward_way, way_of

    cells, notes = [], []
    theory = [float(profile.X), *map(float, profile.expected.Z)], [*map(float, profile.expected.dZ)][::-1]
    ways = ("Z", forward_way(profile), "on"), ("dZ", backward_way(profile), "down")
    for (name, way, onward), expected in zip(ways, theory, strict=True):
        cells += [way.state, factor(way), factor(way_of(expected))]
        if way.layer is not None and way.state != "-":
            lost = _lost(way, onward)
            notes.append(lost if way.dead else f"{name} {'0 in' if way.share == 0 else 'beyond'} {dtype} {lost}")
    return [*cells, *notes[:1]] if notes else [*cells, ""]


def factor(way: "Way") -> str:
    """Three digits, since a hundred layers raise it to its hundredth power."""
    return "-" if math.isnan(way.factor) else f"{way.factor:.3g}"
