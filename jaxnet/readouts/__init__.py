"""What else the backward pass knows: readouts of the pairs (A_{l-1}, dZ_l) that it holds at every layer.

    pairs = record(X, Y, parameters, network, cotangent=...)  one forward and one backward pass
    squared_norms(pairs), second_moment(pairs), ...      contractions of the pairs

These are pure functions for use inside `jit`: what is not asked for is not computed. The argument `cotangent` of
`record` is a function that makes what the backward pass starts from, and so determines what the pairs belong to:

    loss_gradient        the gradient; the empirical Fisher matrix
    sampled_labels(key)  the Fisher matrix = the generalized Gauss-Newton matrix (GGN), by sampling
    hessian_root         the GGN, exactly, with as many columns per example as there are logits
    output_jacobian      the logits themselves; the neural tangent kernel

Scale: columns of a record belong to single examples. Whatever has a row or a column per example carries no 1/m;
whatever has the tree structure of the parameters, or is a matrix over one, is a mean over the examples. Such trees are
`FrozenDict`s, like the parameters that `initialize_parameters_deep` returns.
"""

from .batch import mean_gradient as mean_gradient, second_moment as second_moment, variance as variance
from .clipping import clipped_gradient as clipped_gradient
from .curvature import (
    ggn_diagonal as ggn_diagonal,
    ggn_spectrum as ggn_spectrum,
    ggn_trace as ggn_trace,
    ggn_vector_product as ggn_vector_product,
    hessian_vector_product as hessian_vector_product,
)
from .examples import (
    gram as gram,
    per_example_gradients as per_example_gradients,
    projection as projection,
    sketch as sketch,
    sketch_matrices as sketch_matrices,
    squared_norms as squared_norms,
)
from .influence import influence as influence, self_influence as self_influence, tracin as tracin
from .kronecker import (
    EKFAC as EKFAC,
    KroneckerFactors as KroneckerFactors,
    ekfac as ekfac,
    kfra_factors as kfra_factors,
    kronecker_factors as kronecker_factors,
)
from .noise import (
    BatchTests as BatchTests,
    NoiseScale as NoiseScale,
    batch_tests as batch_tests,
    gsnr as gsnr,
    noise_scale as noise_scale,
)
from .pairs import (
    Record as Record,
    hessian_root as hessian_root,
    loss_gradient as loss_gradient,
    output_jacobian as output_jacobian,
    record as record,
    sampled_labels as sampled_labels,
)
from .preconditioner import precondition_by_kfac as precondition_by_kfac
