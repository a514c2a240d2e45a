"""The text of `jaxnet inspect`: tables of sizes, and verdicts in words."""

import itertools
import math
import operator
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .inspect_inputs import Inputs, Subject
from .options import INITS


if TYPE_CHECKING:
    import numpy as np

    from ..network import Network
    from ..signals import Profile, SingularValues


GONE, HUGE = 1e-3, 1e3  # shares of the start: below the first it has vanished, above the second exploded
SAME = 1e-3  # logits that differ by less mean the same probability for every example, to three digits
FLAT = 0.9  # of a layer's entries; a larger share is reported
MOST_ROWS = 12
WIDTH = 110  # of the text


class Course(NamedTuple):
    """How a size changes on its way, from its start to its end."""

    share: float  # the end over the start; 0 where it underflowed, inf where it overflowed
    factor: float  # per layer, as far as it can be measured; NaN where it cannot
    lost: int | None  # the step from which it is 0 or not finite


def written(init: str | float) -> str:
    """An init as it is typed after --init."""
    return init if isinstance(init, str) else f"{init:g}"


def course_of(sizes: Sequence[float]) -> Course:
    """Share and factor of sizes, given in the order of travel."""
    steps = len(sizes) - 1
    lost = next((i for i, size in enumerate(sizes) if not 0 < size < math.inf), None)
    last = steps if lost is None else lost - 1
    if last < 0:
        return Course(math.nan, math.nan, lost)
    factor = math.exp((math.log(sizes[last]) - math.log(sizes[0])) / last) if last else math.nan
    share = sizes[-1] / sizes[0] if lost is None else 0.0 if sizes[lost] == 0 else math.inf
    return Course(share, factor, lost)


def forward_course(profile: "Profile") -> Course:
    """The course of X, Z_1, ..., Z_L."""
    return course_of([float(profile.X), *map(float, profile.measured.Z)])


def backward_course(profile: "Profile") -> Course:
    """The course of dZ_L, ..., dZ_1."""
    return course_of([*map(float, profile.measured.dZ)][::-1])


def network_text(
    subject: Subject,
    inputs: Inputs,
    profile: "Profile",
    values: "SingularValues | None",
    map_values: "np.ndarray | None",
) -> str:
    """One row per layer, and the verdicts. Without singular values where the matrices are too large for them."""
    weights = "drawn weights as large" if subject.model else "weights drawn so"
    about = [
        ("network", subject.name),
        ("inputs", f"{inputs.description}; X of size {number(profile.X)}"),
        (
            "sizes",
            f"roots of mean squares over units and examples. Theory: expected of {weights}, in wide layers. Spread: of "
            "Z over the examples. Closed: share of Z where the slope of the activation is below 1/20 of its largest. "
            "Dead: units whose slope is 0 for every example. Step: ||dW|| / ||W||, of a step of rate 1",
        ),
    ]
    verdicts = [*_verdicts(subject, profile), *_map_verdict(len(profile.measured.Z), map_values)]
    verdicts += _to_do(subject, profile)
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


def _verdicts(subject: Subject, profile: "Profile") -> list[tuple[str, str]]:
    measured = profile.measured
    L, dtype = len(measured.Z), str(measured.Z.dtype)
    forward, backward = forward_course(profile), backward_course(profile)
    verdicts = [("forward", _described(forward, f"Z_{L} is {{}} times X", dtype, _lost_forward(profile, forward)))]
    if math.isnan(backward.share):
        lost = f"dZ_{L} is 0" if measured.dZ[-1] == 0 else f"the forward pass has left the range of {dtype}"
        verdicts.append(("backward", f"nothing comes back: {lost}"))
    elif L > 1:
        end = "what reaches layer 1 is {} times what started"
        verdicts.append(("backward", _described(backward, end, dtype, _lost_backward(profile, backward))))
    spread = float(measured.spread[-1])
    if spread < SAME:
        text = f"the same for every example: Z_{L} varies by {number(spread)} between them. So what is learnt first is "
        verdicts.append(("output", f"{text}b_{L}, one answer to all of them"))
    share, l = flattest(profile)
    if share > FLAT and forward.lost is None:
        verdicts.append(("slopes", f"in layer {l}, {share:.0%} of Z lies where {subject.activation} is flat"))
    return verdicts


def _to_do(subject: Subject, profile: "Profile") -> list[tuple[str, str]]:
    words = {word(forward_course(profile)), word(backward_course(profile))}
    if words <= {"alive", "-"} and profile.measured.spread[-1] >= SAME and flattest(profile)[0] <= FLAT:
        return []
    return [("to do", _advice(subject, profile))]


def flattest(profile: "Profile") -> tuple[float, int]:
    """The largest share of closed entries in a hidden layer, and which layer that is."""
    return max(((float(share), l) for l, share in enumerate(profile.measured.closed, start=1)), default=(0.0, 0))


def _map_verdict(L: int, values: "np.ndarray | None") -> list[tuple[str, str]]:
    import numpy as np

    if values is None or not np.isfinite(values).all():
        return []
    largest, smallest = float(values[0]), float(values[-1])
    rounding = len(values) * float(np.finfo(values.dtype).eps) * largest
    shown = f"below {number(rounding)}" if smallest < rounding else number(smallest)
    text = f"from X to Z_{max(L - 1, 1)}, at the first example: singular values {number(largest)} to {shown}, "
    return [("map", f"{text}{int((values > largest / 100).sum())} of {len(values)} above a hundredth of the largest")]


def word(course: Course) -> str:
    """alive, vanishes or explodes."""
    if math.isnan(course.share):
        return "-"
    return "vanishes" if course.share < GONE else "explodes" if course.share > HUGE else "alive"


def _described(course: Course, end: str, dtype: str, lost: str) -> str:
    factor = "" if math.isnan(course.factor) else f"a layer multiplies it by {number(course.factor)}; "
    if course.lost is None:
        return f"{word(course)}: {factor}{end.format(number(course.share))}"
    if "dead" in lost:
        return f"stops: {lost}"
    if course.share == 0:
        return f"vanishes: {factor}{lost} it is below {_smallest(dtype)}, which is 0 in {dtype}"
    return f"explodes: {factor}{lost} it is beyond the range of {dtype}"


def _smallest(dtype: str) -> str:
    import jax.numpy as jnp

    return f"{float(jnp.finfo(dtype).tiny):.1e}"


def _lost_forward(profile: "Profile", course: Course) -> str:
    """Where the signal was lost, if it was; step i of the way is Z_i."""
    if course.lost is None:
        return ""
    if course.lost > 1 and profile.measured.A[course.lost - 2] == 0 and profile.measured.dead[course.lost - 2] == 1:
        return f"all units of layer {course.lost - 1} are dead"
    return f"from layer {course.lost} on"


def _lost_backward(profile: "Profile", course: Course) -> str:
    """Where the error was lost, if it was; step i of the way is dZ_{L-i}."""
    if not course.lost:
        return ""
    l = len(profile.measured.Z) - course.lost
    if l > 0 and profile.measured.dead[l - 1] == 1:
        return f"all units of layer {l} are dead"
    return f"from layer {l} down"


def _advice(subject: Subject, profile: "Profile") -> str:
    dims = [subject.parameters["W1"].shape[1], *_units(subject)]
    advice = advice_for(dims, subject.network, subject.activation, float(profile.X), subject.init)
    return f"train anew: {advice}" if subject.model else advice


def advice_for(
    dims: Sequence[int],
    network: "Network",
    activation: str,
    X_size: float = 1.0,
    drawn_with: str | float | None = None,
) -> str:
    """The init under which theory expects sizes to change least, and what else to do where there is none."""
    best = best_init(X_size, dims, network)
    if best is None:
        return (
            f"no --init of {', '.join(INITS)} keeps sizes through {len(dims) - 1} layers of {activation}; take "
            "fewer, or relu with he, or tanh with xavier"
        )
    init, forward, backward = best
    if init == drawn_with:
        return f"another --seed, or wider layers: theory expects {init} to keep sizes, on average over the draws"
    back = "" if math.isnan(backward) else f", by {backward:.3g} back"  # one layer has no way back
    return f"--init {init}: theory expects a layer to multiply by {forward:.3g} forward{back}"


def _units(subject: Subject) -> list[int]:
    return [subject.parameters[f"W{l}"].shape[0] for l in range(1, len(subject.parameters) // 2 + 1)]


def best_init(X_size: float, dims: Sequence[int], network: "Network") -> tuple[str, float, float] | None:
    """The init under which theory expects sizes to change least, and its factors per layer, forward and back.

    None where they vanish or explode under all of them.
    """
    import jax

    from ..parameters import INITS as RULES
    from ..signals import expected_sizes

    found = []
    for init in ("he", "xavier", "lecun"):  # of two that draw the same, the better known name comes first
        stds = [RULES[init](n, n_prev) for n_prev, n in itertools.pairwise(dims)]
        with jax.enable_x64(True):
            expected = expected_sizes(dims, stds, network, X_size=X_size)
        ways = course_of([X_size, *map(float, expected.Z)]), course_of([*map(float, expected.dZ)][::-1])
        if all(GONE <= way.share <= HUGE for way in ways):
            change = max(abs(math.log(way.share)) for way in ways)
            found.append((round(change, 6), init, ways[0].factor, ways[1].factor))
    return min(found, key=operator.itemgetter(0))[1:] if found else None


def depth_text(name: str, inputs: str, advice: str, profiles: Mapping[str, Mapping[int, "Profile"]]) -> str:
    """One row per init, with what arrives at each depth, and the verdicts."""
    some = next(iter(profiles.values()))
    deepest, dtype = max(some), str(some[max(some)].measured.Z.dtype)
    shares = [["init", *itertools.chain.from_iterable((f"Z_{L}", "dZ_1") for L in some)]]
    verdicts = [[f"{deepest} layers", "Z_l", "a layer", "theory", "dZ_l", "a layer", "theory", ""]]
    for init, by_depth in profiles.items():
        ways = [(forward_course(profile), backward_course(profile)) for profile in by_depth.values()]
        shares.append([init, *(number(way.share) for pair in ways for way in pair)])
        verdicts.append([init, *_depth_verdict(by_depth[deepest], dtype)])
    about = [
        ("networks", f"{name}; {', '.join(map(str, some))} layers"),
        ("inputs", inputs),
        (
            "sizes",
            "roots of mean squares. Z_L: of the logits, over that of X. dZ_1: of the error in layer 1, over that of "
            "dZ_L, with which it started. A layer: what one multiplies the size by",
        ),
    ]
    return "\n".join(
        [*paragraphs(about), "", *aligned(shares), "", *aligned(verdicts), "", *paragraphs([("to do", advice)])]
    )


def _depth_verdict(profile: "Profile", dtype: str) -> list[str]:
    cells = []
    theory = [float(profile.X), *map(float, profile.expected.Z)], [*map(float, profile.expected.dZ)][::-1]
    courses = forward_course(profile), backward_course(profile)
    for course, expected in zip(courses, theory, strict=True):
        cells += [word(course), factor(course), factor(course_of(expected))]
    notes = [
        lost if "dead" in lost else f"{name} {'0 in' if course.share == 0 else 'beyond'} {dtype} {lost}"
        for name, course, lost in (
            ("Z", courses[0], _lost_forward(profile, courses[0])),
            ("dZ", courses[1], _lost_backward(profile, courses[1])),
        )
        if lost and not math.isnan(course.share)
    ]
    return [*cells, *notes[:1]] if notes else [*cells, ""]


def factor(course: Course) -> str:
    """Three digits, since a hundred layers raise it to its hundredth power."""
    return "-" if math.isnan(course.factor) else f"{course.factor:.3g}"
