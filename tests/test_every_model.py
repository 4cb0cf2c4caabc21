"""One table: every flow and every optimizer that there is, under whatever a user does to them.

A new class is in it as soon as it is in the list of its folder.
"""

import pickle

import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
import pytest

import flows
from flows.optimizers import OPTIMIZERS
from flows.plotting import color_of
from flows.vector_fields import FLOWS

KEY, STEPS = jax.random.key(3), 2
DATA = jnp.asarray(np.random.default_rng(0).normal(size=(6, 3)))
START = jnp.array([1.0, -0.4, 0.7])


def along(w, x):
    """Scale invariant, and a mean over examples: all of them take it."""
    return jnp.mean(x @ w) / jnp.linalg.norm(w)


def along_tree(w, x):
    return along(jnp.concatenate([w["a"], w["b"][None]]), x)


def turned(w):
    """A step map: a rotation by a small angle."""
    return jtu.tree_map(lambda leaf: 0.9 * leaf, w)


MADE = {
    flows.SGD: lambda rate: flows.SGD(rate, batch_size=2, weight_decay=0.1),
    flows.StepMap: lambda rate: flows.StepMap(turned, rate),
    flows.DriftAdjustedDescent: lambda rate: flows.DriftAdjustedDescent(maximum=rate),
}
RESHUFFLED = flows.SGD(0.05, batch_size=2, sampling="reshuffling")


def optimizer(kind, rate=0.05):
    return MADE.get(kind, kind)(rate)


def optimizer_of(flow):
    """The first that it models."""
    candidates = [*map(optimizer, OPTIMIZERS), RESHUFFLED]
    return next(each for each in candidates if flow.refusal(each) is None)


def key_for(*models):
    return {"key": KEY} if any(model.stochastic for model in models) else {}


def ran(flow, start, loss=along, data=DATA):
    given = optimizer_of(flow)
    return flows.solve(loss, start, given, flow, STEPS, args=data, **key_for(flow))


def iterated(given, start, loss=along, data=DATA):
    return flows.iterate(loss, start, given, STEPS, args=data, **key_for(given))


CASES = [(ran, kind()) for kind in FLOWS] + [(iterated, optimizer(kind)) for kind in OPTIMIZERS]
NAMES = [type(model).__name__ for _, model in CASES]


@pytest.fixture(scope="module", params=range(len(CASES)), ids=NAMES)
def case(request):
    run, model = CASES[request.param]
    return run, model, run(model, START)


def test_compiled_and_mapped(case):
    """Two starts at once, in one program, are two runs."""
    run, model, alone = case
    starts = jnp.stack([START, 2 * START])
    both = jax.jit(jax.vmap(lambda start: run(model, start)))(starts)
    assert bool(jnp.all(both.result == flows.RESULTS.successful))
    np.testing.assert_allclose(both.loss[0], alone.loss, rtol=1e-6)
    np.testing.assert_allclose(both.ts[1], alone.ts, rtol=1e-12)


def test_a_tree_in_single_precision(case):
    """Structure and dtype are kept, and the numbers are those of one array in float64."""
    run, model, alone = case
    narrow = START.astype(jnp.float32)
    tree = {"a": narrow[:2], "b": narrow[2]}
    found = run(model, tree, along_tree, DATA.astype(jnp.float32))
    assert found.successful
    assert jtu.tree_structure(found.final_params) == jtu.tree_structure(tree)
    assert {jnp.finfo(leaf.dtype).bits for leaf in jtu.tree_leaves(found.final_params)} == {32}
    assert found.loss.dtype == jnp.float32
    flat = jnp.concatenate([found.final_params["a"], found.final_params["b"][None]])
    if not getattr(model, "stochastic", False):  # other numbers are drawn for other leaves
        np.testing.assert_allclose(flat, alone.final_params, rtol=1e-4)


def test_saved_copied_and_named(case, tmp_path):
    run, model, alone = case
    again = flows.load(alone.save(tmp_path / "run"))
    np.testing.assert_array_equal(again.loss, alone.loss)
    assert again.settings == alone.settings
    assert type(model).__name__ in next(iter(alone.settings.values()))
    copy = pickle.loads(pickle.dumps(alone))
    np.testing.assert_array_equal(copy.loss, alone.loss)
    assert repr(alone) == f"<Trajectory: {alone.message}>"
    assert isinstance(flows.citation(model), str)
    if run is ran:
        assert color_of(model.name)
        assert flows.citation(model)


def test_every_flow_models_something_and_refuses_the_rest_in_sentences():
    for kind in FLOWS:
        flow = kind()
        for each in map(optimizer, OPTIMIZERS):
            refused = flow.refusal(each)
            assert (flow in flows.flows_for(each)) == (refused is None)
            assert refused is None or (refused.startswith(flow.name) and refused.endswith("."))
