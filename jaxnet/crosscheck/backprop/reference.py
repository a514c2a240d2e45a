"""What the right backward pass gives at a point: autodiff in float64, and how far rounding may take correct code off.

Hand and reference evaluate one chain of products in different orders, so they differ by rounding, and by how much is
known beforehand: for a leaf g by about (L + log2 n) u S, with u the unit roundoff of the code under test, n the
longest sum, and S the magnitude recurrence: the same backward pass with every number replaced by its magnitude, plus
what the rounding of Z does to the slopes (through g'') and to dZL (through the loss's second derivative). This is
running error analysis (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., section 3.3), and the growth
with log2 n rather than n is what rounding does in practice (Higham & Mary 2019); `SAFETY` is the room left above it.
Errors are counted entry by entry in units of u S: where terms cancel, S is larger than |g| and the bound relaxes, there
and nowhere else.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ...activations import ACTIVATIONS
from ...checks import as_targets, check_real
from ...companions import per_example
from ...errors import InputError
from ...losses import LOSSES
from ...network import L_model_forward, Network
from ...parameters import FrozenDict, layer_dims
from ...types import Inputs, Labels, Parameters
from ...weighting import SampleWeight, as_sample_weight, weighted
from ..compare import ROUNDOFF
from ..report import Place
from .slopes import SLOPES
from .steps import RIGHT, Layer, Step, sizes
from .undefined import activation_slopes, loss_slopes


# Correct code stayed within 0.7 (L + log2 n) u S in 700 drawn networks of all precisions, and within 2.1 of it
# for a million examples, whose sums are no longer added in pairs.
SAFETY = 16.0
KINK = 1e-12  # as far left and right of Z as one-sided slopes are taken


class Reference(NamedTuple):
    """A point, the gradients of autodiff there, and their magnitudes S; NumPy float64."""

    layers: tuple[Layer, ...]
    AL: np.ndarray
    Y: np.ndarray
    dZ: tuple[np.ndarray, ...]  # of layer 1 ... L
    grads: Mapping[str, np.ndarray]  # dA_l, dW_l, db_l, as `L_model_backward` returns them
    S: Mapping[str, np.ndarray]
    dZ_size: tuple[np.ndarray, ...]  # S of dZ
    slope_size: tuple[np.ndarray, ...]  # what a slope may be off by, in units of roundoff of the cached Z
    one_sided: tuple[tuple[np.ndarray, np.ndarray], ...]  # slopes just left and right of Z; of layer 1 ... L - 1
    network: Network
    undefined: int = 0  # slopes of activations and of the loss at which autodiff is not finite
    unknown: int = 0  # of these, those that differences do not decide either
    sample_weight: np.ndarray | None = None  # (m,), which grads, dZ and S hold already

    @property
    def m(self) -> int:
        return self.Y.shape[1]

    @property
    def caches(self) -> list[tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]]:
        """The course's caches, fresh arrays, so that code that writes into them cannot spoil the reference."""
        return [((np.array(c.A_prev), np.array(c.W), np.array(c.b)), np.array(c.Z)) for c in self.layers]

    @property
    def parameters(self) -> FrozenDict:
        """W1, b1, ..., WL, bL in float64."""
        named = enumerate(self.layers, start=1)
        return FrozenDict({f"{name}{l}": getattr(layer, name) for l, layer in named for name in ("W", "b")})

    @property
    def bound(self) -> float:
        """The units of roundoff, u S, that correct code may be off."""
        widths = [self.layers[0].A_prev.shape[0], *(len(c.W) for c in self.layers)]
        return SAFETY * (len(self.layers) + float(np.log2(max(*widths, self.m))))

    @property
    def leaves(self) -> list[Place]:
        """The grads in the order in which a backward pass makes them, from the output down."""
        steps = range(len(self.layers), 0, -1)
        return [place for l in steps for place in (Place("dW", l), Place("db", l), Place("dA", l - 1))]

    def step(self, l: int, dA: np.ndarray | None = None) -> Step:
        """The backward of layer l from `dA`; from the reference's own signal unless given."""
        layer, at_head = self.layers[l - 1], l == len(self.layers)
        dZ = self.dZ[l - 1] if dA is None or at_head else layer.slope * dA
        if dA is None or at_head:
            dA = self.dZ[-1] if at_head else self.grads[Place("dA", l)]
        hidden = _known_by("forward", self.network.hidden, ACTIVATIONS)
        loss = _known_by("value", self.network.loss, LOSSES)
        slope_at = SLOPES.get(hidden) or partial(_numpy_slope_of, self.network.hidden.forward)
        # The errors that are known by name are those of a head without weights.
        known = loss if self.sample_weight is None else ""
        return Step(
            **vars(layer), l=l, layers=self.layers, Y=self.Y, dA=dA, dZ=dZ, loss=known, head=self._head(loss),
            hidden=hidden, slope_at=slope_at, grads=self.grads,
        )  # fmt: skip

    def _head(self, loss: str) -> str:
        """The right line of dZ_L."""
        L = len(self.layers)
        own = f"(the derivative of each example's loss with respect to Z{L})"
        line = {"": own, "squared_error": f"Z{L} - Y"}.get(loss, f"A{L} - Y")
        return f"dZ{L} = {line}" if self.sample_weight is None else f"dZ{L} = ({line.strip('()')}) * sample_weight"

    def by_right_lines(self, layers: tuple[Layer, ...]) -> "Reference":
        """The same with the slopes of these layers, by the lines of `steps` instead of autodiff."""
        other, grads = self._replace(layers=layers), {}
        for l in range(len(layers), 0, -1):
            step = other.step(l, grads.get(Place("dA", l)))
            grads |= {step.place(kind): step.right(kind) for kind in RIGHT}
        hidden = [layer.slope * grads[Place("dA", l)] for l, layer in enumerate(layers[:-1], start=1)]
        return other._replace(grads=grads, dZ=(*hidden, self.dZ[-1]))


def make_reference(
    X: Inputs, Y: Labels, parameters: Parameters, network: Network, sample_weight: SampleWeight = None
) -> Reference:
    """Casts everything to float64, exactly, and differentiates there. Raises `InputError` where nothing fits."""
    dims = layer_dims(parameters)
    with jax.enable_x64(True):  # what float32 cannot hold can be checked
        for name, value in {"X": X, **parameters}.items():
            check_real(name, value)
    X, parameters = np.asarray(X, np.float64), {k: np.asarray(v, np.float64) for k, v in parameters.items()}
    if X.ndim != 2 or X.shape[0] != dims[0] or X.shape[1] == 0:
        raise InputError(f"X has shape {X.shape}; expected ({dims[0]}, m) with at least one example")
    with jax.enable_x64(True):
        targets = as_targets(Y, jax.ShapeDtypeStruct((dims[-1], X.shape[1]), np.float64), network.loss)
        weight = as_sample_weight(sample_weight, targets)
        found = jax.device_get(_differentiate(X, targets, parameters, network, weight))
    return _assemble(X, np.asarray(targets), parameters, network, found, jax.device_get(weight))


def cost_of(network: Network, parameters: Parameters, X: Any, Y: Any, weight: Any = None) -> jax.Array:
    """The cost from values alone, which finite differences differentiate."""
    _, caches = L_model_forward(X, parameters, network)
    return jnp.mean(weighted(per_example(network.loss.value, caches[-1].Z, Y), weight))


@partial(jax.jit, static_argnames="network")
def _differentiate(X, Y, parameters, network, weight):
    """Everything that needs JAX: the forward pass, g' and g'', the loss's second derivative, and autodiff's grads.

    dA_l and dZ_l come from zeros that are added to A_l and Z_l, and are m times the derivative, since their columns
    carry no 1/m. Nothing of a hand-written backward is used: only `hidden.forward`, `loss.value` and `loss.output`.
    """
    dims, m = layer_dims(parameters), X.shape[1]
    L = len(dims) - 1
    zeros = {f"A{l}": jnp.zeros((dims[l], m), X.dtype) for l in range(L)}
    zeros |= {f"Z{l}": jnp.zeros((dims[l], m), X.dtype) for l in range(1, L + 1)}

    def cost(parameters, zeros):
        A, Zs, As = X + zeros["A0"], [], []
        for l in range(1, L + 1):
            Zs.append(parameters[f"W{l}"] @ A + parameters[f"b{l}"] + zeros[f"Z{l}"])
            if l < L:
                A = network.hidden.forward(Zs[-1]) + zeros[f"A{l}"]
                As.append(A)
        return jnp.mean(weighted(per_example(network.loss.value, Zs[-1], Y), weight)), (Zs, As)

    (by_parameters, by_zeros), (Zs, As) = jax.grad(cost, argnums=(0, 1), has_aux=True)(parameters, zeros)
    grads = {f"d{name}": g for name, g in by_parameters.items()} | {f"d{name}": m * g for name, g in by_zeros.items()}
    slope = partial(_slope_of, network.hidden.forward)
    slopes = [(slope(Z), slope(Z - KINK), slope(Z + KINK), _slope_of(slope, Z)) for Z in Zs[:-1]]

    def one_gradient(z, y):
        return jax.grad(lambda z: network.loss.value(z[:, None], y[:, None])[0])(z)

    hessian = weighted(jax.vmap(jax.jacrev(one_gradient), 1, 2)(Zs[-1], Y), weight)  # d dZL_j / d ZL_k of each example
    return Zs, As, network.loss.output(Zs[-1]), grads, slopes, hessian


def _slope_of(g, Z):
    """g'(Z), entry by entry. In reverse mode, which also goes through a `jax.custom_vjp`."""
    return jax.vjp(g, jnp.asarray(Z))[1](jnp.ones_like(Z))[0]


def _assemble(X, Y, parameters, network, found, weight) -> Reference:
    Zs, As, AL, grads, slopes, hessian = found
    L, A_prevs = len(Zs), [X, *As]
    dZ = [grads.pop(f"dZ{l}") for l in range(1, L + 1)]
    undefined = sum(int(np.count_nonzero(~np.isfinite(s))) for s in (dZ[-1], *(slope for slope, *_ in slopes)))
    with np.errstate(all="ignore"):
        dZ[-1], dZL_bar = loss_slopes(network.loss.value, Zs[-1], Y, dZ[-1], weight)
        filled = [activation_slopes(network.hidden.forward, Z, s) for Z, (s, *_) in zip(Zs[:-1], slopes, strict=True)]
    unknown = sum(int(np.count_nonzero(~np.isfinite(s))) for s in (dZ[-1], *(slope for slope, _ in filled)))
    outputs, all_slopes = [*As, AL], [*(slope for slope, _ in filled), np.ones_like(AL)]
    layers = tuple(
        Layer(A_prevs[l - 1], parameters[f"W{l}"], parameters[f"b{l}"], Zs[l - 1], outputs[l - 1], all_slopes[l - 1])
        for l in range(1, L + 1)
    )
    one_sided = tuple(
        (np.where(np.isfinite(left), left, slope), np.where(np.isfinite(right), right, slope))
        for (_, left, right, _), (slope, _) in zip(slopes, filled, strict=True)
    )
    reference = Reference(layers, AL, Y, tuple(dZ), grads, {}, (), (), one_sided, network, undefined, unknown, weight)
    if undefined:  # one slope that is NaN spoils all of autodiff's
        reference = reference.by_right_lines(layers)
    # Where differences decide a slope, they also say how far it may be off, here in units of roundoff.
    bars = [bar / ROUNDOFF["float64"] for bar in (dZL_bar, *(bar for _, bar in filled))]
    with np.errstate(all="ignore"):
        return _with_magnitudes(reference, [curvature for *_, curvature in slopes], hessian, bars)


def _with_magnitudes(
    reference: Reference, curvatures: list[np.ndarray], hessian: np.ndarray, bars: list[np.ndarray]
) -> Reference:
    """S of every leaf. |W| |A| + |b| is also how many units of roundoff Z may be off, layer upon layer; a step that is
    judged by itself starts from the cached Z, which is off by one rounding only."""
    A_sizes, slope_sizes, own = [np.abs(reference.layers[0].A_prev)], [], []
    known = [np.where(np.isfinite(c), c, 0.0) for c in curvatures] if reference.undefined else curvatures
    for layer, curvature, bar in zip(reference.layers[:-1], known, bars[1:], strict=True):
        Z_size = np.abs(layer.W) @ A_sizes[-1] + np.abs(layer.b)
        slope = np.where(np.isfinite(layer.slope), layer.slope, 0.0) if reference.unknown else layer.slope
        A_sizes.append(np.abs(layer.A) + np.abs(slope) * Z_size)
        # The 1 is for slopes such as A (1 - A), which round relative to 1.
        slope_sizes.append(1 + np.abs(layer.slope) + np.abs(curvature) * Z_size + bar)
        own.append(1 + np.abs(layer.slope) + np.abs(curvature * layer.Z) + bar)
    last, dZL = reference.layers[-1], reference.dZ[-1]
    Z_size = np.abs(last.W) @ A_sizes[-1] + np.abs(last.b)
    hessian = np.where(np.isfinite(hessian), hessian, 0.0) if reference.undefined else hessian
    weight = 1.0 if reference.sample_weight is None else reference.sample_weight
    size = (np.abs(reference.AL) + np.abs(reference.Y)) * weight
    size = size + np.einsum("jkm,km->jm", np.abs(hessian), Z_size) + bars[0]
    # Autodiff of softplus and of log-softmax makes its slope as exp(Z - softplus(Z)), which rounds relative to Z.
    size = size + np.abs(last.Z * dZL)
    S, dZ_size = {}, []
    for l in range(len(reference.layers), 0, -1):
        if l < len(reference.layers):
            size = slope_sizes[l - 1] * S[Place("dA", l)]
        dZ_size.insert(0, size)
        step = reference.step(l)
        S |= {step.place(kind): value for kind, value in sizes(step, size, A_sizes[l - 1]).items()}
    return reference._replace(S=S, dZ_size=tuple(dZ_size), slope_size=tuple(own))


def _numpy_slope_of(g, Z: np.ndarray) -> np.ndarray:
    with jax.enable_x64(True):
        return np.asarray(_slope_of(g, Z))


def _known_by(field: str, member: Any, table: Mapping[str, Any]) -> str:
    """The name under which a function of `member` is known; "" where it is the user's own."""
    return next((name for name, known in table.items() if getattr(known, field) is getattr(member, field)), "")
