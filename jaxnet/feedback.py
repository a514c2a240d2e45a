"""How the error travels back: rules, of which backpropagation is one.

A rule is a value. `Network(..., feedback=rule)` takes it, `initialize_feedback` draws its feedback weights B, and
every function that goes backward takes them as `B=`. `B["B3"]` makes dA_2, so that it stands in the place of W_3^T;
no rule has a B1: dA_0, which no weight learns from, is W_1^T dZ_1 under every rule.
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
    """What is at hand where the error crosses layer l, from dZ_l to dA_{l-1}."""

    l: int  # 2 ... L
    dZ: Float[Array, "n m"]  # dZ_l
    W: Float[Array, "n n_prev"]  # W_l
    A_prev: Float[Array, "n_prev m"]  # A_{l-1}
    dZL: Float[Array, "n_L m"]  # what the backward pass started from
    Y: Float[Array, "n_L m"] | None  # the targets, where the caller has any


@runtime_checkable  # for checkers of annotations, as the tests have one
class Functions(Protocol):
    """A `Network`, as far as rules know it."""

    @property
    def hidden(self) -> Activation:
        """Of layers 1 ... L-1."""
        ...

    @property
    def loss(self) -> Loss:
        """With the output of layer L."""
        ...

    @property
    def feedback(self) -> "Rule":
        """The rule itself."""
        ...


Feedback: TypeAlias = Any  # B2 ... BL of a rule, a mapping; a rule of one's own may keep any pytree


class Rule(NamedTuple):
    """What a way back consists of: pure functions of B and the parameters.

    The parameters that `init`, `update` and `transport` are given may lack W1 and b1, which no rule needs.
    """

    init: Callable[..., Feedback]  # (parameters, network, *, key) -> B, an empty mapping where there is none
    propagate: Callable[[Feedback, Crossing], Array]  # (B, crossing) -> dA_{l-1}
    update: Callable[..., Feedback]  # (B, parameters before a step, after it, network, *, key) -> B
    transport: Callable[[Parameters], Feedback] | None  # the B with which the rule is backpropagation, if any is

    __copy__ = __deepcopy__ = itself


KEPT = 64  # rules of each kind; a rule that is made anew equals the one that was let go

Draw: TypeAlias = Callable[..., Array]  # (key, shape, dtype) -> B_l, as in `jax.nn.initializers`


def lecun_normal(key: PRNGKeyArray, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """N(0, 1/n_{l-1}): the entries of a W_l^T of the initialisation "lecun"."""
    return jax.nn.initializers.variance_scaling(1.0, "fan_in", "normal")(key, shape, dtype)


DRAW = lecun_normal


def initialize_feedback(parameters: Parameters, network: Functions, *, key: PRNGKeyArray | None = None) -> Feedback:
    """The feedback weights B that the network's rule starts from; none for backpropagation.

    Raises `InputError` where the rule draws them and there is no key.
    """
    return network.feedback.init(_crossed(parameters), network, key=key)


def update_feedback(
    B: Feedback, before: Parameters, after: Parameters, network: Functions, *, key: PRNGKeyArray | None = None
) -> Feedback:
    """B after a step that took the parameters from `before` to `after`. Many rules leave it as it is.

    Rules that draw need a key of their own for every step, and raise `InputError` without one.
    """
    return network.feedback.update(B, _crossed(before), _crossed(after), network, key=key)


def _crossed(parameters: Parameters) -> Parameters:
    """The parameters without layer 1, which no rule crosses: a run in reduced inputs has the same feedback."""
    for name, value in parameters.items():
        check_floats(name, value, "unit")
    return FrozenDict({name: value for name, value in parameters.items() if name not in ("W1", "b1")})


def weights(parameters: Parameters) -> dict[int, Array]:
    """W_l for l = 2 ... L, in this order, whatever that of the mapping is."""
    W = {int(name[1:]): jnp.asarray(W) for name, W in parameters.items() if name[0] == "W" and name != "W1"}
    return dict(sorted(W.items()))


def layer_keys(parameters: Parameters, key: PRNGKeyArray | None) -> dict[int, PRNGKeyArray]:
    """A key for each of the layers 2 ... L. Raises `InputError` where there is none to make them of."""
    if key is None:
        raise InputError("this rule draws its feedback weights: pass key=jax.random.key(0), or any other seed")
    return {l: jax.random.fold_in(key, l) for l in weights(parameters)}


def drawn(
    shapes: Mapping[int, tuple[int, ...]], parameters: Parameters, key: PRNGKeyArray | None, draw: Draw
) -> FrozenDict:
    """B_l of these shapes and the dtype of W_l, each from the key of its layer."""
    keys, W = layer_keys(parameters, key), weights(parameters)
    kinds = {l: (shape, W[l].dtype) for l, shape in shapes.items()}
    B = {}
    for kind in dict.fromkeys(kinds.values()):  # together: a hundred draws of one shape are compiled as one
        layers = [l for l in kinds if kinds[l] == kind]
        stacked = jax.vmap(lambda key, kind=kind: draw(key, *kind))(jnp.stack([keys[l] for l in layers]))
        B |= {l: stacked[i] for i, l in enumerate(layers)}
    return FrozenDict({f"B{l}": B[l] for l in shapes})


def unchanged(
    B: Feedback, before: Parameters, after: Parameters, network: Functions, *, key: PRNGKeyArray | None
) -> Feedback:
    """B' = B: the `update` of a rule whose feedback is fixed."""
    del before, after, network, key
    return B


# Backpropagation: the transpose of what the layer did.


def no_weights(parameters: Parameters, network: Functions, *, key: PRNGKeyArray | None) -> FrozenDict:
    """The `init` of a rule without feedback weights."""
    del parameters, network, key
    return FrozenDict()


def through_W(B: Feedback, crossing: Crossing) -> Array:
    """dA_{l-1} = W_l^T dZ_l."""
    del B
    return linear_transpose(crossing.dZ, crossing.W)


def nothing(parameters: Parameters) -> FrozenDict:
    """The `transport` of a rule without feedback weights."""
    del parameters
    return FrozenDict()


backprop = Rule(no_weights, through_W, unchanged, nothing)


# Rules that cross a layer at a time, B_l of shape (n_{l-1}, n_l) in the place of W_l^T.


def through_B(B: Mapping[str, Array], crossing: Crossing) -> Array:
    """dA_{l-1} = B_l dZ_l."""
    return _of_layer(B, crossing, crossing.dZ) @ crossing.dZ


def _of_layer(B: Mapping[str, Array], crossing: Crossing, sent: Array) -> Array:
    """B_l, which takes what is sent to dA_{l-1}. Raises `InputError` where it is missing or of another shape."""
    name, expected = f"B{crossing.l}", (len(crossing.A_prev), len(sent))
    if not isinstance(B, Mapping) or name not in B:
        raise InputError(
            f"layer {crossing.l}: B has no {name}; pass B=initialize_feedback(parameters, network, key=key)"
        )
    if jnp.shape(B[name]) != expected:
        raise InputError(f"layer {crossing.l}: {name} has shape {jnp.shape(B[name])}; expected {expected}")
    return jnp.asarray(B[name])


def transposes(parameters: Parameters) -> FrozenDict:
    """B_l = W_l^T."""
    return FrozenDict({f"B{l}": W.T for l, W in weights(parameters).items()})


def draw_layers(
    parameters: Parameters, network: Functions, *, key: PRNGKeyArray | None, draw: Draw = DRAW
) -> FrozenDict:
    """B_l of shape (n_{l-1}, n_l)."""
    del network
    return drawn({l: W.T.shape for l, W in weights(parameters).items()}, parameters, key, draw)


@lru_cache(maxsize=KEPT)
def feedback_alignment(draw: Draw = DRAW) -> Rule:
    """dA_{l-1} = B_l dZ_l with fixed random B_l, drawn by `draw(key, (n_{l-1}, n_l), dtype)`.

    W_l learns to make W_l^T dZ_l and B_l dZ_l point the same way. FA: Lillicrap, Cownden, Tweed & Akerman 2016,
    "Random synaptic feedback weights support error backpropagation for deep learning", delta_h = B e.
    """

    return Rule(Bound(draw_layers, draw=draw), through_B, unchanged, transposes)


@lru_cache(maxsize=KEPT)
def kolen_pollack(decay: float = 0.0, draw: Draw = DRAW) -> Rule:
    """B_l' = (1 - decay) B_l + (W_l' - (1 - decay) W_l)^T: B takes every step that W takes, transposed.

    Hence B_l' - W_l'^T = (1 - decay) (B_l - W_l^T): with a decay B becomes W^T, without one both grow alike.
    `decay` is what the step shrinks W by, the learning rate times the weight decay; the optimizer must do so too.
    KP: Kolen & Pollack 1994; Akrout, Wilson, Humphreys, Lillicrap & Tweed 2019, "Deep learning without weight
    transport", eqs. 16 and 17.
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
    """B_l' = (1 - decay) B_l + rate * Xi_{l-1} Xi_l^T,  Xi_l = g_l(W_l Xi_{l-1} + b_l), Xi_{l-1} noise of its own.

    Xi_{l-1} is `amplitude` times U(-1/2, 1/2), `examples` columns. Noise that a layer has passed on is correlated with
    that layer's weights, so B_l moves along W_l^T. `warm_up` such updates are made before training, and one a step.
    WM: Akrout et al. 2019, eq. 7; the numbers are those of their code.
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
        heard = g(W[l] @ noise + parameters[f"b{l}"])
        new[f"B{l}"] = (1 - decay) * B[f"B{l}"] + rate * (noise @ heard.T)
    return FrozenDict(new)


def _warmed_up(parameters, network, *, key, draw, mirrored, warm_up):
    B = draw_layers(parameters, network, key=key, draw=draw)
    if not B:
        return B
    # The layers' own keys are folds by their numbers, which are smaller.
    first = jax.random.fold_in(key, 2**32 - 1)
    return jax.lax.fori_loop(0, warm_up, lambda i, B: mirrored(B, parameters, network, jax.random.fold_in(first, i)), B)


def _mirrored_after(B, before, after, network, *, key, mirrored):
    del before
    return mirrored(B, after, network, key)


# Sign symmetry: B_l has the signs of W_l^T, at every step, and magnitudes of its own.


def with_signs(magnitudes: Mapping[str, Array], parameters: Parameters) -> FrozenDict:
    """B_l = M_l * sign(W_l^T); a W of 0 counts as positive, so that zero weights do not end the feedback."""
    W = weights(parameters)
    return FrozenDict({f"B{l}": jnp.copysign(magnitudes[f"B{l}"], jnp.where(W[l] == 0, 0, W[l]).T) for l in W})


def _keep_magnitudes(B, before, after, network, *, key):
    del before, network, key
    return with_signs(B, after)


@lru_cache(maxsize=KEPT)
def uniform_sign(magnitude: float | None = None) -> Rule:
    """dA_{l-1} = B_l dZ_l,  B_l = c sign(W_l^T): one magnitude for all, 1/sqrt(n_{l-1}) unless given.

    uSF: Liao, Leibo & Poggio 2016, "How important is weight symmetry in backpropagation?", section 3, where c is 1 and
    the optimizer takes no notice of scale; Moskovitz, Litwin-Kumar & Abbott 2018.
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
    """dA_{l-1} = B_l dZ_l,  B_l = |M_l| * sign(W_l^T) with M_l drawn once: frSF, Liao et al. 2016, section 3."""
    return Rule(Bound(_signs_of_drawn, draw=draw), through_B, _keep_magnitudes, transposes)


@lru_cache(maxsize=KEPT)
def batch_random_sign(draw: Draw = DRAW) -> Rule:
    """dA_{l-1} = B_l dZ_l,  B_l = |M_l| * sign(W_l^T), M_l drawn in every step: brSF, Liao et al. 2016, section 3."""
    signs = Bound(_signs_of_drawn, draw=draw)
    return Rule(signs, through_B, Bound(_drawn_anew, signs=signs), transposes)


def _drawn_anew(B, before, after, network, *, key, signs):
    del B, before
    return signs(after, network, key=key)


# Direct rules: from the output to every layer, past those between; B_l is of shape (n_{l-1}, n_L).


def draw_direct(
    parameters: Parameters, network: Functions, *, key: PRNGKeyArray | None, draw: Draw = DRAW
) -> FrozenDict:
    """B_l of shape (n_{l-1}, n_L)."""
    del network
    W = weights(parameters)
    n_L = len(W[max(W)]) if W else 0
    return drawn({l: (W[l].shape[1], n_L) for l in W}, parameters, key, draw)


def products(parameters: Parameters) -> FrozenDict:
    """B_l = W_l^T W_{l+1}^T ... W_L^T: the whole way back through layers without activations."""
    W = weights(parameters)
    return FrozenDict({f"B{l}": reduce(jnp.matmul, [W[k].T for k in range(l, max(W) + 1)]) for l in W})


def through_B_from_output(B: Mapping[str, Array], crossing: Crossing) -> Array:
    """dA_{l-1} = B_l dZ_L."""
    return _of_layer(B, crossing, crossing.dZL) @ crossing.dZL


@lru_cache(maxsize=KEPT)
def direct_feedback_alignment(draw: Draw = DRAW) -> Rule:
    """dA_{l-1} = B_l dZ_L with fixed random B_l: every layer hears the output's error itself.

    Drawn by `draw(key, (n_{l-1}, n_L), dtype)`. DFA: Nokland 2016, "Direct feedback alignment provides learning in
    deep neural networks", eq. 6. With one hidden layer it is feedback alignment.
    """

    return Rule(Bound(draw_direct, draw=draw), through_B_from_output, unchanged, products)


def through_B_from_target(B: Mapping[str, Array], crossing: Crossing) -> Array:
    """dA_{l-1} = B_l Y."""
    if crossing.Y is None:
        raise InputError("this rule sends the targets back, and there are none: pass Y=Y")
    return _of_layer(B, crossing, crossing.Y) @ crossing.Y


@lru_cache(maxsize=KEPT)
def direct_random_target(draw: Draw = DRAW) -> Rule:
    """dA_{l-1} = B_l Y with fixed random B_l: hidden layers learn before the output is known.

    The target stands for the sign of the error, which is known from it: Y - AL is positive for the example's class, and
    negative for all others. It is made for one-hot targets of several classes: those of one output are never negative,
    and push all examples the same way. DRTP: Frenkel, Lefebvre & Bol 2021, "Learning without feedback", eq. 4.
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
    """The rule of that name, or the rule itself. Raises `InputError` that lists the known names."""
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
