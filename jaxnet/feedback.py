"""Feedback rules: how the error travels back through the layers. Backpropagation is one of them.

A rule is a value. `Network(..., feedback=rule)` takes it, `initialize_feedback` draws its feedback weights B, and every
function that goes backward takes them as `B=`. `B["B3"]` produces dA_2, and so stands in for W_3^T. There is no B1
under any rule: dA_0, from which no weight learns, is W_1^T dZ_1 under all of them.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache, reduce
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .activations import Activation
from .checks import check_floats
from .errors import InputError
from .layers import linear_transpose
from .losses import Loss
from .members import Bound, itself
from .parameters import FrozenDict
from .types import DTypeLike, Parameters, PRNGKeyArray


class Crossing(NamedTuple):
    """What a rule may use where the error crosses layer l, from dZ_l to dA_{l-1}."""

    l: int  # 2 ... L
    dZ: Float[Array, "n m"]  # dZ_l
    W: Float[Array, "n n_prev"]  # W_l
    A_prev: Float[Array, "n_prev m"]  # A_{l-1}
    dZL: Float[Array, "n_L m"]  # what the backward pass started from
    Y: Float[Array, "n_L m"] | None  # the targets, where the caller has any


@runtime_checkable  # for run-time type checkers, such as the one in the tests
class Functions(Protocol):
    """A `Network`, as far as rules know it."""

    @property
    def hidden(self) -> Activation:
        """The activation of the hidden layers."""
        ...

    @property
    def loss(self) -> Loss:
        """The loss, with the output function of layer L."""
        ...

    @property
    def feedback(self) -> "Rule":
        """The rule itself."""
        ...


Feedback: TypeAlias = Any  # B2 ... BL of a rule, a mapping; a rule of one's own may keep any pytree


class Rule(NamedTuple):
    """A way for the error to travel back, as pure functions of B and the parameters.

    The parameters that `init`, `update` and `transport` receive may lack W1 and b1, which no rule needs.

    Args:
        init: `(parameters, network, *, key) -> B`; an empty mapping for a rule without feedback weights.
        propagate: `(B, crossing) -> dA_{l-1}`, `(n_{l-1}, m)`.
        update: `(B, parameters before a step, parameters after it, network, *, key) -> B`.
        transport: `parameters ->` the B with which the rule is backpropagation; None if there is none.

    Example:
        >>> from jaxnet import feedback
        >>> half = feedback.backprop._replace(propagate=lambda B, crossing: crossing.W.T @ crossing.dZ / 2)
        >>> jaxnet.Network(feedback=half).feedback == half
        True
    """

    init: Callable[..., Feedback]  # (parameters, network, *, key) -> B, an empty mapping where there is none
    propagate: Callable[[Feedback, Crossing], Array]  # (B, crossing) -> dA_{l-1}
    update: Callable[..., Feedback]  # (B, parameters before a step, after it, network, *, key) -> B
    transport: Callable[[Parameters], Feedback] | None  # the B with which the rule is backpropagation, if any is

    __copy__ = __deepcopy__ = itself


KEPT = 64  # rules of each kind; a rule that is made again equals the one that was dropped

Draw: TypeAlias = Callable[..., Array]  # (key, shape, dtype) -> B_l, as in `jax.nn.initializers`


def lecun_normal(key: PRNGKeyArray, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """N(0, 1/n_{l-1}): the distribution of the entries of W_l^T under `init="lecun"`.

    Example:
        >>> jaxnet.feedback.lecun_normal(jax.random.key(0), (3, 1), jnp.float32).shape
        (3, 1)
    """
    return jax.nn.initializers.variance_scaling(1.0, "fan_in", "normal")(key, shape, dtype)


DRAW = lecun_normal


def initialize_feedback(parameters: Parameters, network: Functions, *, key: PRNGKeyArray | None = None) -> Feedback:
    """The feedback weights B that the network's rule starts from; an empty mapping for backpropagation.

    Raises `InputError` where the rule draws them and there is no key.

    Example:
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> network = jaxnet.Network(feedback="feedback_alignment")
        >>> B = jaxnet.initialize_feedback(parameters, network, key=jax.random.key(1))
        >>> {name: value.shape for name, value in B.items()}
        {'B2': (3, 1)}
    """
    return network.feedback.init(_crossed(parameters), network, key=key)


def update_feedback(
    B: Feedback, before: Parameters, after: Parameters, network: Functions, *, key: PRNGKeyArray | None = None
) -> Feedback:
    """B after a step that took the parameters from `before` to `after`. Many rules leave B unchanged.

    Args:
        B: The feedback weights before the step.
        before: The parameters before the step.
        after: The parameters after the step.
        network: Its rule is used.
        key: A random key of its own for every step, for the rules that draw.

    Raises:
        InputError: where the rule draws and there is no key.

    Example:
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> network = jaxnet.Network(feedback=jaxnet.feedback.kolen_pollack())
        >>> B = jaxnet.initialize_feedback(parameters, network, key=jax.random.key(1))
        >>> after = parameters | {"W2": parameters["W2"] + 1.0}
        >>> (jaxnet.update_feedback(B, parameters, after, network)["B2"] - B["B2"]).T
        Array([[1., 1., 1.]], dtype=float32)
    """
    return network.feedback.update(B, _crossed(before), _crossed(after), network, key=key)


def _crossed(parameters: Parameters) -> Parameters:
    """The parameters without layer 1, which no rule crosses; hence the feedback is the same with reduced inputs."""
    for name, value in parameters.items():
        check_floats(name, value, "unit")
    return FrozenDict({name: value for name, value in parameters.items() if name not in ("W1", "b1")})


def weights(parameters: Parameters) -> dict[int, Array]:
    """W_l for l = 2 ... L, in this order, whatever the order of the mapping.

    Example:
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> {l: W.shape for l, W in jaxnet.feedback.weights(parameters).items()}
        {2: (1, 3)}
    """
    W = {int(name[1:]): jnp.asarray(W) for name, W in parameters.items() if name[0] == "W" and name != "W1"}
    return dict(sorted(W.items()))


def layer_keys(parameters: Parameters, key: PRNGKeyArray | None) -> dict[int, PRNGKeyArray]:
    """A key for each of the layers 2 ... L. Raises `InputError` where `key` is None.

    Example:
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> list(jaxnet.feedback.layer_keys(parameters, jax.random.key(1)))
        [2]
    """
    if key is None:
        raise InputError("this rule draws its feedback weights: pass key=jax.random.key(0), or with any other seed")
    return {l: jax.random.fold_in(key, l) for l in weights(parameters)}


def drawn(
    shapes: Mapping[int, tuple[int, ...]], parameters: Parameters, key: PRNGKeyArray | None, draw: Draw
) -> FrozenDict:
    """B_l of the given shapes and in the dtype of W_l, each drawn with the key of its layer.

    Example:
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> B = jaxnet.feedback.drawn({2: (3, 1)}, parameters, jax.random.key(1), jaxnet.feedback.lecun_normal)
        >>> B["B2"].shape
        (3, 1)
    """
    keys, W = layer_keys(parameters, key), weights(parameters)
    kinds = {l: (shape, W[l].dtype) for l, shape in shapes.items()}
    B = {}
    for kind in dict.fromkeys(kinds.values()):  # a hundred draws of one shape are compiled as one
        layers = [l for l in kinds if kinds[l] == kind]
        stacked = jax.vmap(lambda key, kind=kind: draw(key, *kind))(jnp.stack([keys[l] for l in layers]))
        B |= {l: stacked[i] for i, l in enumerate(layers)}
    return FrozenDict({f"B{l}": B[l] for l in shapes})


def unchanged(
    B: Feedback, before: Parameters, after: Parameters, network: Functions, *, key: PRNGKeyArray | None
) -> Feedback:
    """B' = B: the `update` of a rule whose feedback weights are fixed.

    Args:
        B: The feedback weights, which are returned.
        before: Not used.
        after: Not used.
        network: Not used.
        key: Not used.

    Example:
        >>> jaxnet.feedback.unchanged({"B2": 1.0}, {}, {}, jaxnet.Network(), key=None)
        {'B2': 1.0}
    """
    del before, after, network, key
    return B


# Backpropagation: the transpose of the layer itself.


def no_weights(parameters: Parameters, network: Functions, *, key: PRNGKeyArray | None) -> FrozenDict:
    """The `init` of a rule without feedback weights.

    Example:
        >>> jaxnet.feedback.no_weights({}, jaxnet.Network(), key=None)
        FrozenDict({})
    """
    del parameters, network, key
    return FrozenDict()


def through_W(B: Feedback, crossing: Crossing) -> Array:
    """dA_{l-1} = W_l^T dZ_l, which is backpropagation.

    Example:
        >>> dZ, W = jnp.array([[2.0]]), jnp.array([[1.0, -3.0]])
        >>> crossing = jaxnet.Crossing(2, dZ, W, jnp.zeros((2, 1)), dZ, None)
        >>> jaxnet.feedback.through_W({}, crossing)
        Array([[ 2.],
               [-6.]], dtype=float32)
    """
    del B
    return linear_transpose(crossing.dZ, crossing.W)


def nothing(parameters: Parameters) -> FrozenDict:
    """The `transport` of a rule without feedback weights.

    Example:
        >>> jaxnet.feedback.nothing({})
        FrozenDict({})
    """
    del parameters
    return FrozenDict()


backprop = Rule(no_weights, through_W, unchanged, nothing)


# Rules that cross one layer at a time, with B_l of shape (n_{l-1}, n_l) in place of W_l^T.


def through_B(B: Mapping[str, Array], crossing: Crossing) -> Array:
    """dA_{l-1} = B_l dZ_l. Raises `InputError` where B_l is missing or has the wrong shape.

    Example:
        >>> dZ, W = jnp.array([[2.0]]), jnp.array([[1.0, -3.0]])
        >>> crossing = jaxnet.Crossing(2, dZ, W, jnp.zeros((2, 1)), dZ, None)
        >>> jaxnet.feedback.through_B({"B2": jnp.array([[1.0], [1.0]])}, crossing)
        Array([[2.],
               [2.]], dtype=float32)
    """
    return _of_layer(B, crossing, crossing.dZ) @ crossing.dZ


def _of_layer(B: Mapping[str, Array], crossing: Crossing, sent: Array) -> Array:
    """B_l, which takes the `sent` signal to dA_{l-1}. Raises `InputError` where it is missing or of the wrong shape."""
    name, expected = f"B{crossing.l}", (len(crossing.A_prev), len(sent))
    if not isinstance(B, Mapping) or name not in B:
        raise InputError(
            f"layer {crossing.l}: B has no {name}; pass B=initialize_feedback(parameters, network, key=key)"
        )
    if jnp.shape(B[name]) != expected:
        raise InputError(f"layer {crossing.l}: {name} has shape {jnp.shape(B[name])}; expected {expected}")
    return jnp.asarray(B[name])


def transposes(parameters: Parameters) -> FrozenDict:
    """B_l = W_l^T, with which feedback alignment is backpropagation.

    Example:
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> bool((jaxnet.feedback.transposes(parameters)["B2"] == parameters["W2"].T).all())
        True
    """
    return FrozenDict({f"B{l}": W.T for l, W in weights(parameters).items()})


def draw_layers(
    parameters: Parameters, network: Functions, *, key: PRNGKeyArray | None, draw: Draw = DRAW
) -> FrozenDict:
    """B_l of shape (n_{l-1}, n_l), drawn by `draw(key, shape, dtype)`.

    Example:
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> jaxnet.feedback.draw_layers(parameters, jaxnet.Network(), key=jax.random.key(1))["B2"].shape
        (3, 1)
    """
    del network
    return drawn({l: W.T.shape for l, W in weights(parameters).items()}, parameters, key, draw)


@lru_cache(maxsize=KEPT)
def feedback_alignment(draw: Draw = DRAW) -> Rule:
    """dA_{l-1} = B_l dZ_l with fixed random B_l, drawn by `draw(key, (n_{l-1}, n_l), dtype)`.

    W_l learns to make W_l^T dZ_l point in the direction of B_l dZ_l. FA: Lillicrap, Cownden, Tweed & Akerman 2016,
    "Random synaptic feedback weights support error backpropagation for deep learning", delta_h = B e.

    Example:
        >>> network = jaxnet.Network(feedback=jaxnet.feedback.feedback_alignment())
        >>> network == jaxnet.Network(feedback="feedback_alignment")
        True
    """

    return Rule(Bound(draw_layers, draw=draw), through_B, unchanged, transposes)


@lru_cache(maxsize=KEPT)
def kolen_pollack(decay: float = 0.0, draw: Draw = DRAW) -> Rule:
    """B_l' = (1 - decay) B_l + (W_l' - (1 - decay) W_l)^T: B takes every step that W takes, transposed.

    Hence B_l' - W_l'^T = (1 - decay) (B_l - W_l^T): with a decay B becomes W^T, without one both grow alike. `decay`,
    from 0 and below 1, is the share of W that a step takes away: the learning rate times the weight decay, which the
    optimizer must apply too. Raises `InputError` for a decay out of range. KP: Kolen & Pollack 1994; Akrout, Wilson,
    Humphreys, Lillicrap & Tweed 2019, "Deep learning without weight transport", eqs. 16 and 17.

    Example:
        >>> jaxnet.feedback.kolen_pollack(decay=0.01) == jaxnet.feedback.kolen_pollack(decay=0.01)
        True
    """
    _check_share("decay", decay)

    return Rule(Bound(draw_layers, draw=draw), through_B, Bound(_step_transposed, decay=decay), transposes)


def _step_transposed(B, before, after, network, *, key, decay):
    del network, key
    W, W_new = weights(before), weights(after)
    keep = 1 - decay
    return FrozenDict({f"B{l}": keep * B[f"B{l}"] + (W_new[l] - keep * W[l]).T for l in W})


@lru_cache(maxsize=KEPT)
def weight_mirror(
    rate: float = 0.01,
    amplitude: float = 0.1,
    examples: int = 128,
    decay: float = 0.0,
    warm_up: int = 500,
    draw: Draw = DRAW,
) -> Rule:
    """B_l' = (1 - decay) B_l + rate * Xi_{l-1} Xi_l^T,  Xi_l = g_l(W_l Xi_{l-1} + b_l), with new noise Xi_{l-1} for
       each l.

    Noise that a layer has passed on is correlated with that layer's weights, so B_l moves along W_l^T. WM: Akrout et
    al. 2019, eq. 7; the defaults are those of their code.

    Args:
        rate: The learning rate of B. Default: 0.01.
        amplitude: Xi_{l-1} is `amplitude` times U(-1/2, 1/2). Default: 0.1.
        examples: The number of columns of the noise. Default: 128.
        decay: By how much an update shrinks B, from 0 and below 1. Default: 0.
        warm_up: The number of updates before training; during training there is one per step. Default: 500.
        draw: `(key, shape, dtype) ->` the first B_l. Default: N(0, 1/n_{l-1}).

    Raises:
        InputError: for a number out of range.

    Example:
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> network = jaxnet.Network(feedback=jaxnet.feedback.weight_mirror(warm_up=2))
        >>> jaxnet.initialize_feedback(parameters, network, key=jax.random.key(1))["B2"].shape
        (3, 1)
    """
    _check_share("decay", decay)
    if examples < 1 or warm_up < 0:
        raise InputError(f"examples is {examples} and warm_up {warm_up}; expected at least 1 and 0")

    mirrored = Bound(_mirrored, rate=rate, amplitude=amplitude, examples=examples, decay=decay)
    return Rule(
        Bound(_warmed_up, draw=draw, mirrored=mirrored, warm_up=warm_up),
        through_B,
        Bound(_mirrored_after, mirrored=mirrored),
        transposes,
    )


def _mirrored(B, parameters, network, key, *, rate, amplitude, examples, decay):
    keys, W = layer_keys(parameters, key), weights(parameters)
    new = {}
    for l in W:
        g = network.loss.output if l == max(W) else network.hidden.forward
        noise = jax.random.uniform(keys[l], (W[l].shape[1], examples), W[l].dtype, -amplitude / 2, amplitude / 2)
        passed_on = g(W[l] @ noise + parameters[f"b{l}"])
        new[f"B{l}"] = (1 - decay) * B[f"B{l}"] + rate * (noise @ passed_on.T)
    return FrozenDict(new)


def _warmed_up(parameters, network, *, key, draw, mirrored, warm_up):
    B = draw_layers(parameters, network, key=key, draw=draw)
    if not B:
        return B
    # The layers' own keys are folded with their numbers, which are smaller.
    first = jax.random.fold_in(key, 2**32 - 1)
    return jax.lax.fori_loop(0, warm_up, lambda i, B: mirrored(B, parameters, network, jax.random.fold_in(first, i)), B)


def _mirrored_after(B, before, after, network, *, key, mirrored):
    del before
    return mirrored(B, after, network, key)


# Sign symmetry: at every step B_l has the signs of W_l^T, and magnitudes of its own.


def with_signs(magnitudes: Mapping[str, Array], parameters: Parameters) -> FrozenDict:
    """B_l = M_l * sign(W_l^T), where a W of 0 counts as positive, so that zero weights do not end the feedback.

    Example:
        >>> parameters = {"W2": jnp.array([[2.0, -3.0, 0.0]])}
        >>> jaxnet.feedback.with_signs({"B2": jnp.ones((3, 1))}, parameters)["B2"].T
        Array([[ 1., -1.,  1.]], dtype=float32)
    """
    W = weights(parameters)
    return FrozenDict({f"B{l}": jnp.copysign(magnitudes[f"B{l}"], jnp.where(W[l] == 0, 0, W[l]).T) for l in W})


def _keep_magnitudes(B, before, after, network, *, key):
    del before, network, key
    return with_signs(B, after)


@lru_cache(maxsize=KEPT)
def uniform_sign(magnitude: float | None = None) -> Rule:
    """dA_{l-1} = B_l dZ_l,  B_l = c sign(W_l^T), with one magnitude c for all entries: 1/sqrt(n_{l-1}) unless given.

    uSF: Liao, Leibo & Poggio 2016, "How important is weight symmetry in backpropagation?", section 3, where c is 1 and
    the optimizer ignores scale; Moskovitz, Litwin-Kumar & Abbott 2018.

    Example:
        >>> rule = jaxnet.feedback.uniform_sign(magnitude=0.5)
        >>> parameters = {"W2": jnp.array([[2.0, -3.0, 0.0]])}
        >>> rule.init(parameters, jaxnet.Network(), key=None)["B2"].T
        Array([[ 0.5, -0.5,  0.5]], dtype=float32)
    """

    return Rule(Bound(_signs_of_one, magnitude=magnitude), through_B, _keep_magnitudes, transposes)


def _signs_of_one(parameters, network, *, key, magnitude):
    del network, key
    W = weights(parameters)
    c = {l: W[l].shape[1] ** -0.5 if magnitude is None else magnitude for l in W}
    return with_signs({f"B{l}": jnp.full(W[l].T.shape, c[l], W[l].dtype) for l in W}, parameters)


def _signs_of_drawn(parameters, network, *, key, draw):
    return with_signs(draw_layers(parameters, network, key=key, draw=draw), parameters)


@lru_cache(maxsize=KEPT)
def fixed_random_sign(draw: Draw = DRAW) -> Rule:
    """dA_{l-1} = B_l dZ_l,  B_l = |M_l| * sign(W_l^T) with M_l drawn once: frSF, Liao et al. 2016, section 3.

    Example:
        >>> jaxnet.Network(feedback="fixed_random_sign").feedback == jaxnet.feedback.fixed_random_sign()
        True
    """
    return Rule(Bound(_signs_of_drawn, draw=draw), through_B, _keep_magnitudes, transposes)


@lru_cache(maxsize=KEPT)
def batch_random_sign(draw: Draw = DRAW) -> Rule:
    """dA_{l-1} = B_l dZ_l,  B_l = |M_l| * sign(W_l^T), M_l drawn in every step: brSF, Liao et al. 2016, section 3.

    Example:
        >>> jaxnet.Network(feedback="batch_random_sign").feedback == jaxnet.feedback.batch_random_sign()
        True
    """
    signs = Bound(_signs_of_drawn, draw=draw)
    return Rule(signs, through_B, Bound(_drawn_anew, signs=signs), transposes)


def _drawn_anew(B, before, after, network, *, key, signs):
    del B, before
    return signs(after, network, key=key)


# Direct rules: from the output straight to every layer, with B_l of shape (n_{l-1}, n_L).


def draw_direct(
    parameters: Parameters, network: Functions, *, key: PRNGKeyArray | None, draw: Draw = DRAW
) -> FrozenDict:
    """B_l of shape (n_{l-1}, n_L), drawn by `draw(key, shape, dtype)`.

    Example:
        >>> parameters = jaxnet.initialize_parameters_deep((2, 3, 1), key=jax.random.key(0))
        >>> jaxnet.feedback.draw_direct(parameters, jaxnet.Network(), key=jax.random.key(1))["B2"].shape
        (3, 1)
    """
    del network
    W = weights(parameters)
    n_L = len(W[max(W)]) if W else 0
    return drawn({l: (W[l].shape[1], n_L) for l in W}, parameters, key, draw)


def products(parameters: Parameters) -> FrozenDict:
    """B_l = W_l^T W_{l+1}^T ... W_L^T: the whole way back through layers without activations.

    Example:
        >>> parameters = {"W2": jnp.array([[2.0]]), "W3": jnp.array([[3.0]])}
        >>> jaxnet.feedback.products(parameters)["B2"]
        Array([[6.]], dtype=float32)
    """
    W = weights(parameters)
    return FrozenDict({f"B{l}": reduce(jnp.matmul, [W[k].T for k in range(l, max(W) + 1)]) for l in W})


def through_B_from_output(B: Mapping[str, Array], crossing: Crossing) -> Array:
    """dA_{l-1} = B_l dZ_L. Raises `InputError` where B_l is missing or has the wrong shape.

    Example:
        >>> dZ, W = jnp.array([[2.0]]), jnp.array([[1.0, -3.0]])
        >>> crossing = jaxnet.Crossing(2, dZ, W, jnp.zeros((2, 1)), jnp.array([[5.0]]), None)
        >>> jaxnet.feedback.through_B_from_output({"B2": jnp.array([[1.0], [1.0]])}, crossing)
        Array([[5.],
               [5.]], dtype=float32)
    """
    return _of_layer(B, crossing, crossing.dZL) @ crossing.dZL


@lru_cache(maxsize=KEPT)
def direct_feedback_alignment(draw: Draw = DRAW) -> Rule:
    """dA_{l-1} = B_l dZ_L with fixed random B_l: every layer receives the output's error itself.

    B_l is drawn by `draw(key, (n_{l-1}, n_L), dtype)`. With one hidden layer this is feedback alignment. DFA: Nokland
    2016, "Direct feedback alignment provides learning in deep neural networks", eq. 6.

    Example:
        >>> network = jaxnet.Network(feedback=jaxnet.feedback.direct_feedback_alignment())
        >>> network == jaxnet.Network(feedback="direct_feedback_alignment")
        True
    """

    return Rule(Bound(draw_direct, draw=draw), through_B_from_output, unchanged, products)


def through_B_from_target(B: Mapping[str, Array], crossing: Crossing) -> Array:
    """dA_{l-1} = B_l Y. Raises `InputError` where B_l or Y is missing or has the wrong shape.

    Example:
        >>> dZ, W = jnp.array([[2.0]]), jnp.array([[1.0, -3.0]])
        >>> crossing = jaxnet.Crossing(2, dZ, W, jnp.zeros((2, 1)), dZ, jnp.array([[1.0]]))
        >>> jaxnet.feedback.through_B_from_target({"B2": jnp.array([[1.0], [1.0]])}, crossing)
        Array([[1.],
               [1.]], dtype=float32)
    """
    if crossing.Y is None:
        raise InputError("this rule sends the targets back, and there are none: pass Y=Y")
    return _of_layer(B, crossing, crossing.Y) @ crossing.Y


@lru_cache(maxsize=KEPT)
def direct_random_target(draw: Draw = DRAW) -> Rule:
    """dA_{l-1} = B_l Y with fixed random B_l: hidden layers learn before the output is known.

    The target stands in for the sign of the error, which it determines: Y - AL is positive for the example's class, and
    negative for all others. The rule is meant for one-hot targets of several classes: the targets of a single output
    are never negative, and push all examples in the same direction. DRTP: Frenkel, Lefebvre & Bol 2021, "Learning
    without feedback", eq. 4.

    Example:
        >>> jaxnet.Network(feedback="direct_random_target").feedback == jaxnet.feedback.direct_random_target()
        True
    """

    return Rule(Bound(draw_direct, draw=draw), through_B_from_target, unchanged, None)


RULES: dict[str, Callable[[], Rule]] = {
    "backprop": lambda: backprop,
    "feedback_alignment": feedback_alignment,
    "direct_feedback_alignment": direct_feedback_alignment,
    "uniform_sign": uniform_sign,
    "batch_random_sign": batch_random_sign,
    "fixed_random_sign": fixed_random_sign,
    "kolen_pollack": kolen_pollack,
    "weight_mirror": weight_mirror,
    "direct_random_target": direct_random_target,
}


def as_rule(feedback: str | Rule) -> Rule:
    """The rule with that name, or the rule itself.

    Raises `InputError`, with a list of the known names, for anything else.

    Example:
        >>> jaxnet.feedback.as_rule("backprop") == jaxnet.feedback.backprop
        True
    """
    if isinstance(feedback, Rule):
        return feedback
    makers = [name for name, make in RULES.items() if make is feedback]
    if makers:
        raise InputError(f"feedback is a function that makes rules; call it: feedback.{makers[0]}()")
    if not isinstance(feedback, str) or feedback not in RULES:
        raise InputError(f"feedback is {feedback!r:.60}; expected a `Rule` or one of {', '.join(RULES)}")
    return RULES[feedback]()


def _check_share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise InputError(f"{name} is {value}; expected a number from 0, below 1")
