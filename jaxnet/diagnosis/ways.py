"""How the size of a signal changes from layer to layer, forward and back: alive, vanished or exploded, and where."""

import itertools
import math
import operator
from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax

from ..network import Network
from ..parameters import INITS
from ..signals import Profile, SignalSizes, expected_sizes
from .layers import GONE, HUGE
from .remedies import lower_rate
from .symptoms import Remedy, Setup, Symptom


SAME = 1e-3  # logits that differ by less mean the same probability for every example, to three digits
FLAT = 0.9  # of a layer's entries; a larger share is reported


class Way(NamedTuple):
    """A size on its way, from its start to its end."""

    share: float  # the end over the start; 0 where it underflowed, inf where it overflowed
    factor: float  # per layer, as far as it can be measured; NaN where it cannot
    lost: int | None = None  # the step of the way from which it is 0 or not finite
    layer: int | None = None  # the layer where that happens
    dead: bool = False  # whether it is 0 because all units of that layer are dead

    @property
    def state(self) -> Literal["alive", "vanishes", "explodes", "-"]:
        """What became of it; "-" where nothing started."""
        if math.isnan(self.share):
            return "-"
        return "vanishes" if self.share < GONE else "explodes" if self.share > HUGE else "alive"


def way_of(sizes: Sequence[float]) -> Way:
    """Share and factor of sizes, given in the order of travel."""
    steps = len(sizes) - 1
    lost = next((i for i, size in enumerate(sizes) if not 0 < size < math.inf), None)
    last = steps if lost is None else lost - 1
    if last < 0:
        return Way(math.nan, math.nan, lost)
    factor = math.exp((math.log(sizes[last]) - math.log(sizes[0])) / last) if last else math.nan
    share = sizes[-1] / sizes[0] if lost is None else 0.0 if sizes[lost] == 0 else math.inf
    return Way(share, factor, lost)


def forward_way(profile: Profile) -> Way:
    """The way of X, Z_1, ..., Z_L: step i is Z_i."""
    measured = profile.measured
    way = way_of([float(profile.X), *map(float, measured.Z)])
    if way.lost is None:
        return way
    below = way.lost - 2  # the place of A_{l-1} in its array
    if below >= 0 and measured.A[below] == 0 and measured.dead[below] == 1:
        return way._replace(layer=way.lost - 1, dead=True)
    return way._replace(layer=way.lost)


def backward_way(profile: Profile) -> Way:
    """The way of dZ_L, ..., dZ_1: step i is dZ_{L-i}."""
    measured = profile.measured
    way = way_of([*map(float, measured.dZ)][::-1])
    if not way.lost:
        return way
    l = len(measured.Z) - way.lost
    return way._replace(layer=l, dead=l > 0 and bool(measured.dead[l - 1] == 1))


class Health(NamedTuple):
    """What the sizes in a network say of it."""

    forward: Way
    backward: Way
    spread: float  # of Z_L over the examples
    flattest: tuple[float, int]  # the largest share of closed entries in a hidden layer, and which layer that is

    @property
    def same_output(self) -> bool:
        """Whether every example gets the same output."""
        return self.spread < SAME

    @property
    def flat(self) -> bool:
        """Whether a hidden layer lies where its activation is flat."""
        return self.flattest[0] > FLAT

    @property
    def healthy(self) -> bool:
        """Whether signals reach both ends, and tell the examples apart."""
        gone = {self.forward.state, self.backward.state} & {"vanishes", "explodes"}
        return not (gone or self.same_output or self.flat)


def health_of(profile: Profile) -> Health:
    """Both ways, and what else the sizes say."""
    closed = ((float(share), l) for l, share in enumerate(profile.measured.closed, start=1))
    spread = float(profile.measured.spread[-1])
    return Health(forward_way(profile), backward_way(profile), spread, max(closed, default=(0.0, 0)))


class BestInit(NamedTuple):
    """The init under which theory expects sizes to change least, and its factors per layer."""

    init: str
    forward: float
    backward: float  # NaN for one layer, which has no way back


def best_init(X_size: float, dims: Sequence[int], network: Network) -> BestInit | None:
    """The best of the named inits. None where sizes vanish or explode under all of them."""
    found = []
    for init in ("he", "xavier", "lecun"):  # of two that draw the same, the better known name comes first
        stds = [INITS[init](n, n_prev) for n_prev, n in itertools.pairwise(dims)]
        with jax.enable_x64(True):
            expected = expected_sizes(dims, stds, network, X_size=X_size)
        ways = way_of([X_size, *map(float, expected.Z)]), way_of([*map(float, expected.dZ)][::-1])
        if all(GONE <= way.share <= HUGE for way in ways):
            change = max(abs(math.log(way.share)) for way in ways)
            found.append((round(change, 6), BestInit(init, ways[0].factor, ways[1].factor)))
    return min(found, key=operator.itemgetter(0))[1] if found else None


def signal_remedies(best: BestInit | None, setup: Setup) -> tuple[Remedy, ...]:
    """What to try where sizes are not healthy: the best init; of a network that was drawn so, something else.

    A network with a learning rate has been trained since, and its weights are what that has made of them.
    """
    if best is None:
        return (Remedy("shallower"), Remedy("hidden", "relu"))
    if setup.init != best.init:
        return (Remedy("init", best.init),)
    return () if setup.learning_rate is None else (lower_rate(setup),)


def vanishing(sizes: SignalSizes, X_size: float, dims: Sequence[int], network: Network, setup: Setup) -> Symptom | None:
    """dZ_1 is below `GONE` of dZ_L, and no layer is dead as a whole: that would be the reason."""
    first, last = float(sizes.dZ[0]), float(sizes.dZ[-1])
    if not first < GONE * last or any(sizes.dead == 1):
        return None
    return Symptom("vanishing", first, last, 1, remedies=signal_remedies(best_init(X_size, dims, network), setup))
