"""Every misuse has a typed error that comes before tracing and says what to do."""

import dataclasses
import types

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from helpers import UnknownOptimizer

import flows

START = jnp.ones(2)
DESCENT = flows.GradientDescent(0.1)
FLOW = flows.GradientFlow()


def parabola(x):
    return jnp.sum(x**2) / 2


def with_data(x, data):
    return jnp.sum((x - data) ** 2)


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        (0, r"one positive finite number, got 0\. Write for example learning_rate=0\.1"),
        (0.0, "one positive finite number, got 0.0"),
        (-0.1, "one positive finite number, got -0.1"),
        (float("nan"), "one positive finite number, got nan"),
        (float("inf"), "one positive finite number, got inf"),
        (np.float64(-2), "one positive finite number"),
        (jnp.array([0.1, 0.2]), r"an array of shape \(2,\)\. For several at once: jax\.vmap"),
        (np.ones(1), r"an array of shape \(1,\)"),
        ("0.1", "one positive finite number, got '0.1'"),
        (None, "one positive finite number, got None"),
        (True, "one positive finite number, got True"),
        (0.1 + 0j, "it is complex. Take its real part"),
        (object(), "one positive finite number, got <object"),
    ],
)
def test_learning_rate(rate, message):
    with pytest.raises(flows.InvalidLearningRateError, match=message) as caught:
        flows.GradientDescent(rate)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (-1, "0 or more, got -1"),
        (2.0, r"must be an integer, got 2\.0 of type float.*steps=100"),
        ("3", "must be an integer, got '3' of type str"),
        (None, "must be an integer"),
        (True, "0 or more, got True"),
        (jnp.ones(2), "must be an integer"),
    ],
)
def test_steps(steps, message):
    with pytest.raises(flows.InvalidStepsError, match=message) as caught:
        flows.iterate(parabola, START, DESCENT, steps)
    assert isinstance(caught.value, ValueError)


def test_steps_of_other_integer_types():
    for steps in (np.int64(3), jnp.asarray(3), 3):
        assert flows.iterate(parabola, START, DESCENT, steps).steps == 3


def test_traced_steps():
    with pytest.raises(flows.InvalidStepsError, match="Pass it as a Python integer, under jit"):
        jax.jit(lambda n: flows.iterate(parabola, START, DESCENT, n).loss)(3)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda x: x**2, r"an array of shape \(2,\)\. Reduce it, for example with jnp\.mean"),
        (lambda x: jnp.sum(x)[None], r"an array of shape \(1,\)"),
        (lambda x: jnp.sum(x > 0), "returned dtype int64. Return a real float"),
        (lambda x: jnp.sum(x).astype(complex), "returned dtype complex128. Return a real float"),
        (lambda x: (jnp.sum(x), x), "returned a tuple. Return the loss alone"),
        (lambda x: None, "returned a NoneType. Return the loss alone"),
        (with_data, r"cannot be called as loss\(params\).*pass it with args="),
        (lambda: 0.0, r"cannot be called as loss\(params\)"),
        ("loss", "must be a function of the parameters, got str"),
        (None, "must be a function of the parameters, got NoneType"),
    ],
)
def test_loss(loss, message):
    for call in (
        lambda: flows.iterate(loss, START, DESCENT, 2),
        lambda: flows.solve(loss, START, DESCENT, FLOW, 2),
        lambda: flows.compare(loss, START, DESCENT, FLOW, 2),
        lambda: flows.vector_field(loss, START, DESCENT, FLOW),
    ):
        with pytest.raises(flows.InvalidLossError, match=message) as caught:
            call()
    assert isinstance(caught.value, TypeError)


def test_args_for_a_loss_that_takes_none():
    with pytest.raises(flows.InvalidLossError, match=r"args was given\. Give the loss a second"):
        flows.iterate(parabola, START, DESCENT, 2, args=jnp.ones(2))


def test_a_loss_with_a_default_argument_needs_no_args():
    def loss(x, scale=2.0):
        return scale * jnp.sum(x**2)

    assert flows.iterate(loss, START, DESCENT, 1).loss[0] == 4
    assert flows.iterate(loss, START, DESCENT, 1, args=3.0).loss[0] == 6


def test_no_flows():
    with pytest.raises(flows.IncompatibleFlowError, match=r"flows is empty.*flows\.iterate"):
        flows.compare(parabola, START, DESCENT, [], 2)


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        (flows.GradientFlow, r"not a flow\. Write for example GradientFlow\(\)"),
        (None, r"None is not a flow\. Write for example flows\.GradientFlow\(\)"),
        ("gradient", r"'gradient' is not a flow\. Write for example flows\.GradientFlow\(\)"),
    ],
)
def test_what_is_not_a_flow(flow, message):
    with pytest.raises(flows.IncompatibleFlowError, match=message):
        flows.compare(parabola, START, DESCENT, [flow], 2)
    with pytest.raises(flows.IncompatibleFlowError, match=message):
        flows.compare(parabola, START, DESCENT, flow, 2)


def test_a_flow_that_does_not_model_the_optimizer():
    with pytest.raises(
        flows.IncompatibleFlowError,
        match=r"GradientFlow models GradientDescent, not UnknownOptimizer: use it with "
        r"GradientDescent\. No flow models UnknownOptimizer yet",
    ):
        flows.compare(parabola, START, UnknownOptimizer(), [FLOW], 2)


def test_the_remedy_names_the_flows_for_the_optimizer():
    optimizer = flows.ScalarRMSProp(0.1, 0.9)
    remedy = r"For this ScalarRMSProp there is flows\.CentralFlow\(\)\."
    with pytest.raises(flows.IncompatibleFlowError, match=remedy):
        flows.solve(parabola, START, optimizer, FLOW, 2)


def test_another_optimizer_can_be_iterated():
    run = flows.iterate(parabola, START, UnknownOptimizer(), 2)
    assert float(run.loss[1]) == 0


def test_what_is_not_an_optimizer():
    for call in (
        lambda: flows.solve(parabola, START, 0.1, FLOW, 2),
        lambda: flows.iterate(parabola, START, 0.1, 2),
        lambda: flows.vector_field(parabola, START, flows.GradientDescent, FLOW),
    ):
        with pytest.raises(
            flows.InvalidOptimizerError, match=r"Write for example flows\.GradientDescent\(0\.1\)"
        ):
            call()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"solver": "Tsit5"}, flows.InvalidSolverError, r"must be a diffrax solver, got 'Tsit5'"),
        ({"solver": dfx.Tsit5}, flows.InvalidSolverError, r"the class Tsit5 \(call it: Tsit5\(\)"),
        (
            {"stepsize_controller": 1e-3},
            flows.InvalidSolverError,
            r"must be a diffrax controller, got 0\.001.*PIDController\(rtol=1e-8",
        ),
        (
            {"stepsize_controller": dfx.StepTo(jnp.array([0.0, 1.0]))},
            flows.InvalidSolverError,
            r"made in windows\. Use diffrax\.ConstantStepSize\(\) with dt0",
        ),
        ({"solver": dfx.Euler()}, flows.InvalidSolverError, "Euler has no error estimate"),
        (
            {"stepsize_controller": dfx.ConstantStepSize()},
            flows.InvalidOptionError,
            "needs dt0, the solver's step in optimizer steps",
        ),
        (
            {"dt0": -0.1},
            flows.InvalidOptionError,
            "optimizer steps, got -0.1",
        ),
        ({"dt0": jnp.ones(2)}, flows.InvalidOptionError, "one positive number of"),
        ({"max_steps": 0}, flows.InvalidOptionError, "max_steps must be a positive integer"),
        ({"max_steps": 1.5}, flows.InvalidOptionError, "max_steps must be a positive integer"),
        ({"adjoint": "reverse"}, flows.InvalidSolverError, "one of diffrax' adjoints"),
        ({"save_params": "yes"}, flows.InvalidOptionError, "True, False or 'auto'; got 'yes'"),
    ],
)
def test_options_of_the_solver(options, error, message):
    for call in (
        lambda: flows.solve(parabola, START, DESCENT, FLOW, 2, **options),
        lambda: flows.compare(parabola, START, DESCENT, FLOW, 2, **options),
    ):
        with pytest.raises(error, match=message):
            call()


def test_mode():
    with pytest.raises(
        flows.InvalidOptionError, match="one of 'trajectory', 'per_step'; got 'per-step'"
    ):
        flows.compare(parabola, START, DESCENT, FLOW, 2, mode="per-step")


def test_order_of_the_modified_flow():
    with pytest.raises(flows.InvalidOptionError, match="order must be one of 2, 3, 4, 5; got 7"):
        flows.ModifiedFlow(order=7)


def test_progress_under_jit():
    with pytest.raises(flows.InvalidOptionError, match="cannot be shown under jit, vmap or grad"):
        jax.jit(lambda x: flows.iterate(parabola, x, DESCENT, 2, progress=True).loss)(START)


def test_nothing_is_traced_when_the_input_is_bad():
    def loss(x):
        raise AssertionError("traced")

    for call in (
        lambda: flows.compare(loss, START, DESCENT, [], 2),
        lambda: flows.compare(loss, START, DESCENT, FLOW, -2),
        lambda: flows.compare(loss, START, UnknownOptimizer(), FLOW, 2),
        lambda: flows.compare(loss, START, DESCENT, FLOW, 2, solver=3),
        lambda: flows.compare(loss, jnp.full(2, jnp.nan), DESCENT, FLOW, 2),
    ):
        with pytest.raises(flows.FlowsError):
            call()


@dataclasses.dataclass
class Settings:
    weights: np.ndarray


class Frame:
    """Like a table of pandas: no pytree, not hashable, with its numbers in `to_numpy`."""

    __hash__ = None

    def to_numpy(self):
        return np.ones(2)


class Foreign:
    """Like a tensor of another library: hashable, but an array all the same."""

    def __array__(self, dtype=None, copy=None):
        return np.ones(2)


STRANGE_LEAVES = [
    (Frame(), r"a .*\.Frame, neither an array .* JAX knows\. Pass its numbers, LEAF\.to_numpy\(\)"),
    (Foreign(), r"a .*\.Foreign, neither .* Pass numpy\.asarray\(LEAF\)"),
    (Settings(np.ones(2)), r"a .*\.Settings, .* jax\.tree_util\.register_dataclass\(Settings\)"),
    (types.SimpleNamespace(a=1.0), r"a types\.SimpleNamespace, .* example vars\(LEAF\)"),
    (scipy.sparse.eye_array(2).tocsr(), r"a .*csr_array, .* Pass LEAF\.toarray\(\), or jax\.exp"),
    ({1, 2}, r"a builtins\.set, .* tuple\(sorted\(LEAF\)\)"),
    (np.array(["a", "b"]), r"an array of dtype <U1, .* tuple\(LEAF\.tolist\(\)\)"),
    (np.array([None]), "an array of dtype object, and JAX computes with numbers only"),
    (np.ma.masked_array([1.0, 2.0], [True, False]), "a masked array, whose mask would be lost"),
]


@pytest.mark.parametrize(("leaf", "message"), STRANGE_LEAVES)
def test_a_leaf_that_jax_does_not_know(leaf, message):
    for name, error, call in (
        (
            r"args\['data'\]\[0\]",
            flows.InvalidOptionError,
            lambda loss: flows.iterate(loss, START, DESCENT, 2, args={"data": [leaf]}),
        ),
        (
            r"params\['b'\]",
            flows.InvalidParametersError,
            lambda loss: flows.solve(
                loss, {"w": START, "b": leaf}, DESCENT, flows.GradientFlow(), 2
            ),
        ),
    ):
        with pytest.raises(error, match=f"leaf {name} is {message.replace('LEAF', name)}"):
            call(lambda params, args=None: jnp.zeros(()))


def test_leaves_that_rest_may_be_anything_hashable():
    names = {
        "n": 3,
        "word": "mean",
        "label": np.str_("a"),
        "f": jnp.sin,
        "none": None,
        "range": range(2),
    }
    args = {**names, "x": np.float32(2), "y": np.ones(2, bool), "z": np.ones(1, jnp.bfloat16)}
    seen = []

    def loss(params, args):
        seen.append(args)
        return args["f"](params[0]) ** 2

    flows.iterate(loss, START, DESCENT, 1, args=args)
    assert {key: seen[0][key] for key in names} == names
    assert all(isinstance(seen[0][key], jax.Array) for key in "xyz")
