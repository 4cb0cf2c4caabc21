"""How a run ended: diffrax's codes, and those of this library."""

import diffrax as dfx
import numpy as np


class RESULTS(dfx.RESULTS):  # pyright: ignore[reportGeneralTypeIssues]
    """How a run ended: diffrax's codes, and those of this library.

    ``successful`` is the only good one. ``str(code)`` is its sentence, and codes compare with
    ``==``. `Trajectory.message` adds the step and the time at which it happened.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> optimizer = flows.GradientDescent(3.0)
        >>> run = flows.iterate(
        ...     lambda x: x**4, jnp.array(1.0), optimizer, steps=9, throw=False
        ... )
        >>> bool(run.result == flows.RESULTS.diverged)
        True
        >>> int(run.last_step) < 9
        True

    References:
        P. Kidger, On Neural Differential Equations (2022), arXiv:2202.02435, whose diffrax
        defines the codes of a solver.
    """

    successful = ""
    diverged = "The loss or its gradient is no longer a finite number. Try a smaller learning rate."
    iterates_ended = "The iterates ended here, so there was nothing to compare with."
    flow_ended = (
        "The flow cannot be continued: it blows up here, or its vector field is not finite."
    )
    eigenpairs_not_converged = (
        "The eigenpairs near the edge of stability could not be followed. Try more substeps."
    )
    too_many_critical_directions = (
        "More directions are near the edge of stability than there is room for. Increase `size`."
    )
    complementarity_not_solved = (
        "No oscillation keeps the critical eigenvalues at the edge of stability: "
        "the complementarity problem has no solution, or none was found."
    )
    sharpness_overshoot = (
        "The sharpness is beyond the edge of stability, where this flow is no model. "
        "Start where h times the sharpness is below 2, or try more substeps."
    )
    sharpness_beyond_one = (
        "The learning rate times the sharpness is 1 or more, where this flow is not real. "
        "Try a smaller learning rate, or another flow."
    )
    no_real_diffusion = (
        "No stochastic differential equation has the law of these steps: noise and Hessian do not "
        "commute, and the diffusion would be complex. Try StochasticModifiedFlow(2)."
    )


_CODES = (
    "successful",
    "diverged",
    "iterates_ended",
    "flow_ended",
    "eigenpairs_not_converged",
    "too_many_critical_directions",
    "complementarity_not_solved",
    "sharpness_overshoot",
    "sharpness_beyond_one",
    "no_real_diffusion",
    "max_steps_reached",
    "max_steps_rejected",
    "dt_min_reached",
    "event_occurred",
    "nonlinear_max_steps_reached",
    "nonlinear_divergence",
    "singular",
    "breakdown",
    "stagnation",
    "conlim",
    "nonfinite_input",
    "nonfinite",
    "internal_error",
)


def code_names(results: RESULTS) -> tuple[str, ...]:
    """What the codes are called, in a list: of one run one, of a batch one for each."""
    flat = np.atleast_1d(np.zeros(np.shape(results == RESULTS.successful), dtype=object))
    for code in _CODES:
        flat[np.atleast_1d(np.asarray(results == getattr(RESULTS, code)))] = code
    return tuple(flat.ravel().tolist())
