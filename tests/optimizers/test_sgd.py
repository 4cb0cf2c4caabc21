"""Stochastic gradient descent: what a step does, which examples it sees, what it refuses."""

import itertools as it

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from helpers import assert_close

import flows
from flows.optimizers._minibatches import batch

KEY = jr.key(3)
RNG = np.random.default_rng(0)
X, Y = jnp.asarray(RNG.normal(size=(6, 3))), jnp.asarray(RNG.normal(size=6))
START = jnp.ones(3)


def squares(w, data):
    x, y = data
    return jnp.mean((x @ w - y) ** 2) / 2


def quadratic(x):
    return jnp.sum(x**2) / 2


def run(optimizer, steps, key=KEY, **options):
    return flows.iterate(squares, START, optimizer, steps, args=(X, Y), key=key, **options)


def seen(optimizer, steps, key=KEY):
    """Which examples each step sees, from how the parameters move; a basis vector for each."""

    def loss(w, marks):
        return jnp.mean(marks @ w)

    marks = jnp.eye(6)
    path = flows.iterate(loss, jnp.zeros(6), optimizer, steps, args=marks, key=key).params
    assert path is not None
    moved = -jnp.diff(path, axis=0) * optimizer.batch_size / optimizer.learning_rate
    return np.rint(np.asarray(moved)).astype(int)


def test_all_examples_and_no_noise_is_gradient_descent():
    descent = flows.iterate(squares, START, flows.GradientDescent(0.1), 5, args=(X, Y))
    for sampling in ("no replacement", "reshuffling", "in order"):
        same = run(flows.SGD(0.1, batch_size=6, sampling=sampling), 5)
        np.testing.assert_allclose(same.params, descent.params, rtol=1e-13)
    np.testing.assert_allclose(run(flows.SGD(0.1), 5).params, descent.params, rtol=1e-13)


def test_samplings():
    with_replacement = seen(flows.SGD(0.5, batch_size=3), 200)
    assert (with_replacement.sum(axis=1) == 3).all()
    assert (with_replacement > 1).any()
    without = seen(flows.SGD(0.5, batch_size=3, sampling="no replacement"), 200)
    assert (without.sum(axis=1) == 3).all()
    assert without.max() == 1
    epochs = seen(flows.SGD(0.5, batch_size=3, sampling="reshuffling"), 200).reshape(-1, 2, 6)
    assert (epochs.sum(axis=1) == 1).all()
    assert len({tuple(epoch[0]) for epoch in epochs}) > 10
    in_order = seen(flows.SGD(0.5, batch_size=2, sampling="in order"), 9)
    expected = [[2 * (step % 3) <= i < 2 * (step % 3) + 2 for i in range(6)] for step in range(9)]
    assert (in_order == np.array(expected)).all()


@pytest.mark.parametrize("sampling", ["replacement", "no replacement", "reshuffling"])
def test_every_example_is_as_likely(sampling):
    counts = np.zeros(6)
    for steps in seen(flows.SGD(0.5, batch_size=2, sampling=sampling), 3000):
        counts += steps
    # Each count is a sum of 3,000 or fewer independent ones, of mean 1000.
    assert np.abs(counts - 1000).max() < 4 * np.sqrt(1000)


@pytest.mark.parametrize(
    ("sampling", "factor"), [("replacement", 1 / 2), ("no replacement", 4 / (2 * 5))]
)
def test_the_covariance_of_a_batch(sampling, factor):
    """Against the mean over all batches that can be drawn."""
    gradients = np.asarray(
        jax.vmap(lambda x, y: jax.grad(squares)(START, (x[None], y[None])))(X, Y)
    )
    pairs = it.product(range(6), repeat=2)
    if sampling == "no replacement":
        pairs = it.permutations(range(6), 2)
    means = np.array([gradients[list(pair)].mean(axis=0) for pair in pairs])
    exact = np.cov(means.T, bias=True)
    single = np.cov(gradients.T, bias=True)
    np.testing.assert_allclose(exact, factor * single, rtol=1e-12)
    # And the library's covariance, formed and applied.
    from flows.optimizers import make_problem
    from flows.vector_fields import _gradient_noise as gradient_noise

    optimizer = flows.SGD(0.1, batch_size=2, sampling=sampling)
    problem, params = make_problem(squares, START, optimizer, (X, Y))
    np.testing.assert_allclose(gradient_noise.covariance(problem, params), exact, rtol=1e-12)
    columns = jax.vmap(lambda w: gradient_noise.noise(problem, params, (w, None)))(jnp.eye(6))
    np.testing.assert_allclose(columns.T @ columns, exact, rtol=1e-12)


def test_momentum_and_weight_decay_are_those_of_optax():
    optimizer = flows.SGD(0.1, momentum=0.7, weight_decay=0.3)
    theirs = optax.chain(optax.add_decayed_weights(0.3), optax.sgd(0.1, momentum=0.7))
    params, state = START, theirs.init(START)
    for _ in range(6):
        updates, state = theirs.update(jax.grad(squares)(params, (X, Y)), state, params)
        params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(run(optimizer, 6).final_params, params, rtol=1e-13)


@pytest.mark.parametrize("repeats", [1, 3])
def test_momentum_gathers_the_noise(repeats):
    """By hand, on a loss of zero, with the noise that the run without momentum has shown."""
    h, mu, decay, root = 0.4, 0.7, 0.3, np.array([[2.0, 0.5], [0.5, 1.0]])

    def points(**options):
        optimizer = flows.SGD(h, noise=root @ root, **options)
        path = flows.iterate(lambda x: jnp.sum(0 * x), jnp.ones(2), optimizer, 6, key=KEY).params
        return np.asarray(path)

    noise = -np.diff(points(), axis=0) / h
    normal = noise @ np.linalg.inv(root)
    assert (np.abs(np.diff(normal, axis=0)) > 1e-3).all()  # another one at each step
    x, v, expected = np.ones(2), np.zeros(2), [np.ones(2)]
    for xi in noise:
        for _ in range(repeats):
            v = mu * v + xi + decay * x
            x = x - h / repeats * v
        expected.append(x)
    found = points(momentum=mu, weight_decay=decay, repeats=repeats)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_the_same_batch_again():
    """Blocks of four steps of a quarter on one example: products of (1 - h a / 4)^4."""

    def loss(x, a):
        return jnp.mean(a * x**2) / 2

    a, h = jnp.array([1.0, 3.0]), 0.8
    optimizer = flows.SGD(h, batch_size=1, repeats=4)
    ends = flows.iterate(loss, jnp.array(1.0), optimizer, 20, args=a, key=KEY).params
    assert ends is not None
    factors = ends[1:] / ends[:-1]
    expected = (1 - h * np.array([1.0, 3.0]) / 4) ** 4
    nearest = np.abs(np.asarray(factors)[:, None] - expected[None]).argmin(axis=1)
    np.testing.assert_allclose(factors, expected[nearest], rtol=1e-12)
    assert set(nearest) == {0, 1}


@pytest.mark.parametrize("repeats", [1, 2, 3, 4, 8])
def test_thresholds_of_repeated_batches(repeats):
    """Mean-square growth changes sign where the reference says; by all paths of three steps."""
    threshold = {1: 0.8, 2: 1.458940, 3: 2.122403, 4: 2.787337, 8: 5.451397}[repeats]

    def loss(x, a):
        return jnp.mean(a * x**2) / 2

    def growth(h):
        squares = []
        for curvature in (1.0, 3.0):
            optimizer = flows.SGD(h, batch_size=1, repeats=repeats)
            data = jnp.full(1, curvature)
            end = flows.iterate(loss, jnp.array(1.0), optimizer, 1, args=data, key=KEY)
            squares.append(float(end.final_params) ** 2)
        return np.mean(squares)

    assert growth(threshold - 1e-5) < 1 < growth(threshold + 1e-5)


def test_mean_square_multiplier_of_a_batch():
    a = jnp.asarray(RNG.uniform(0.5, 2.0, 5))

    def loss(x, a):
        return jnp.mean(a * x**2) / 2

    h, optimizer = 0.4, flows.SGD(0.4, batch_size=2, sampling="no replacement")
    ends = jax.vmap(
        lambda key: flows.iterate(loss, jnp.array(1.0), optimizer, 1, args=a, key=key).final_params
    )(jr.split(KEY, 4000))
    exact = (1 - h * a.mean()) ** 2 + h**2 * a.var() * 3 / (2 * 4)
    error = float(jnp.std(ends**2)) / 4000**0.5
    assert abs(float(jnp.mean(ends**2)) - float(exact)) < 3 * error


def test_added_noise_has_the_covariance():
    root = np.array([[1.0, 0.5], [0.0, 0.2]])
    covariance = root @ root.T

    def step(key, noise):
        optimizer = flows.SGD(1.0, noise=noise)
        return -flows.iterate(
            lambda x: jnp.sum(0 * x), jnp.zeros(2), optimizer, 1, key=key
        ).final_params

    keys = jr.split(KEY, 20000)
    found = np.cov(jax.vmap(lambda key: step(key, covariance))(keys).T)
    # The standard error of a covariance is at most the root of 2 v v' / N.
    scale = np.sqrt(2 * np.outer(np.diag(covariance), np.diag(covariance)) / 20000)
    assert (np.abs(found - covariance) < 4 * scale).all()
    one = jax.vmap(lambda key: step(key, 0.25))(keys)
    assert abs(float(jnp.var(one)) - 0.25) < 4 * 0.25 * (1 / 20000) ** 0.5
    # A tree of parameters: rows and columns in the order of its leaves.
    start = {"a": jnp.zeros(()), "b": jnp.zeros(1)}
    end = flows.iterate(
        lambda p: 0 * p["a"] + 0 * p["b"][0],
        start,
        flows.SGD(1.0, noise=np.diag([0.0, 4.0])),
        1,
        key=KEY,
    ).final_params
    assert float(end["a"]) == 0 != float(end["b"][0])


def test_one_key_one_run(windows_of):
    """Under jit, under vmap, in windows of another length, and with a key of the old kind."""
    optimizer = flows.SGD(0.1, batch_size=2, noise=0.1, momentum=0.5)
    keys = jr.split(KEY, 3)
    alone = [run(optimizer, 40, key=key).final_params for key in keys]
    compiled = jax.jit(lambda key: run(optimizer, 40, key=key).final_params)
    together = jax.vmap(lambda key: run(optimizer, 40, key=key).final_params)(keys)
    for one, key, row in zip(alone, keys, together, strict=True):
        assert_close(compiled(key), one, rtol=1e-13)
        assert_close(row, one, rtol=1e-13)
    assert float(jnp.abs(alone[0] - alone[1]).max()) > 1e-3
    windows_of(7)
    assert_close(run(optimizer, 40, key=keys[0]).final_params, alone[0], rtol=1e-13)
    old = jr.PRNGKey(5)
    new = run(optimizer, 5, key=jr.wrap_key_data(old)).final_params
    assert_close(run(optimizer, 5, key=old).final_params, new, rtol=0)


def test_gradients_pass_through():
    def end(rate):
        optimizer = flows.SGD(rate, batch_size=2, repeats=2, momentum=0.3)
        return jnp.sum(run(optimizer, 5).final_params)

    step = 1e-6
    numeric = (end(0.1 + step) - end(0.1 - step)) / (2 * step)
    assert float(jax.grad(end)(0.1)) == pytest.approx(float(numeric), rel=1e-7)


def test_float32_trees_and_divergence():
    data = (X.astype(jnp.float32), Y.astype(jnp.float32))
    start = START.astype(jnp.float32)
    optimizer = flows.SGD(0.1, batch_size=2, noise=0.1)
    end = flows.iterate(squares, start, optimizer, 5, args=data, key=KEY).final_params
    assert end.dtype == jnp.float32
    wild = flows.iterate(
        lambda x: jnp.sum(x**4), jnp.ones(2), flows.SGD(3.0, noise=1.0), 30, key=KEY, throw=False
    )
    assert wild.result == flows.RESULTS.diverged
    assert bool(jnp.all(jnp.isfinite(wild.final_params)))
    assert 0 < int(wild.last_step) < 30


def test_batch_numbers_are_those_of_the_epoch():
    """By hand: an epoch's batches are cut from one permutation, drawn from the epoch's number."""
    for step in range(6):
        found = batch("reshuffling", 6, 2, KEY, jnp.asarray(step))
        order = jr.permutation(jr.fold_in(KEY, step // 3), 6)
        assert (found == order[2 * (step % 3) : 2 * (step % 3) + 2]).all()


INDEFINITE = np.array([[1.0, 2.0], [2.0, 1.0]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be an integer >= 1, got 0"),
        ({"batch_size": 2.0}, "batch_size must be an integer >= 1, got 2.0"),
        ({"sampling": "shuffled"}, "sampling must be one of 'replacement', 'no replacement', 'res"),
        ({"noise": INDEFINITE}, "noise must be positive semidefinite.*smallest eigenvalue is -1"),
        ({"noise": -1.0}, "noise must be positive semidefinite"),
        ({"noise": np.array([[1.0, 0.5], [0.0, 1.0]])}, "noise is not symmetric"),
        ({"noise": np.nan}, "noise is not finite"),
        ({"noise": np.ones(2)}, r"one variance or a square covariance matrix, got shape \(2,\)"),
        ({"noise": "loud"}, "noise must be a variance or a covariance matrix, got 'loud'"),
        ({"momentum": 1.0}, "momentum must be below 1, got 1.0"),
        ({"momentum": -0.1}, "momentum must be one finite number >= 0, got -0.1"),
        ({"weight_decay": -1}, "weight_decay must be one finite number >= 0, got -1"),
        ({"repeats": 0}, "repeats must be an integer >= 1, got 0"),
    ],
)
def test_options_that_are_refused(options, message):
    with pytest.raises(flows.InvalidOptionError, match=message):
        flows.SGD(0.1, **options)


def test_what_does_not_fit_the_data():
    with pytest.raises(flows.InvalidOptionError, match=r"batch_size is 7, but args holds 6 exampl"):
        run(flows.SGD(0.1, batch_size=7), 1)
    for sampling in ("reshuffling", "in order"):
        with pytest.raises(
            flows.InvalidOptionError, match="must divide the number of examples, 6,"
        ):
            run(flows.SGD(0.1, batch_size=4, sampling=sampling), 1)
    with pytest.raises(flows.InvalidOptionError, match=r"noise has shape .2, 2., but there are"):
        run(flows.SGD(0.1, noise=np.eye(2)), 1)
    for args in ((X, Y[:5]), (X, jnp.array(1.0)), (1, 2)):
        with pytest.raises(flows.InvalidOptionError, match="must all have one first axis"):
            flows.iterate(squares, START, flows.SGD(0.1, batch_size=2), 1, args=args, key=KEY)
    total = lambda w, data: jnp.sum((data[0] @ w - data[1]) ** 2)  # noqa: E731
    with pytest.raises(flows.InvalidLossError, match="but the mean of their losses"):
        flows.iterate(total, START, flows.SGD(0.1, batch_size=2), 1, args=(X, Y), key=KEY)


def test_keys_that_are_refused():
    with pytest.raises(flows.InvalidOptionError, match="SGD draws random numbers, so it needs a k"):
        run(flows.SGD(0.1, batch_size=2), 1, key=None)
    for key in (0, "seed", jnp.array(3)):
        with pytest.raises(flows.InvalidOptionError, match="key must be a random key of JAX, got"):
            run(flows.SGD(0.1, batch_size=2), 1, key=key)
    with pytest.raises(flows.InvalidOptionError, match=r"an array of keys of shape \(2,\)"):
        run(flows.SGD(0.1, batch_size=2), 1, key=jr.split(KEY))
    # An optimizer that draws nothing needs none.
    flows.iterate(quadratic, START, flows.GradientDescent(0.1), 1, key=None)
