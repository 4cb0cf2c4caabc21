"""The examples of the documentation run, those too that leave the problem to the reader."""

import pathlib
import re

import jax
import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np
import optax
import pytest

import flows
import flows.plotting  # noqa: F401 (the pages use it)

ON_DISPLAY = [
    "index",
    "own_loss",
    "own_models",
    "faq",
    "bibliography",
    "gallery",
    "principal_flow",
    "second_principal_flow",
    "edge_of_stability",
    "stochastic",
    "intrinsic_learning_rate",
    "tracking",
]
PAGES = pathlib.Path(flows.__file__).parent.parent / "docs"


def loss(x):
    """What a reader has: any loss, here of one number."""
    return jnp.sum(jnp.cos(x))


@pytest.fixture
def readers_names():
    """What the pages leave to the reader."""
    yield {
        "flows": flows,
        "jax": jax,
        "jnp": jnp,
        "np": np,
        "loss": loss,
        "params": jnp.array([2.5, 2.2, 2.8]),
        "start": jnp.array([2.5, 2.2, 2.8]),
        "optimizer": flows.GradientDescent(1.3),
        "h": 1.3,
        "models": [flows.GradientFlow()],
        "starts": jr.uniform(jr.key(0), (20, 1)),
    }
    plt.close("all")


@pytest.mark.slow
@pytest.mark.parametrize("page", ON_DISPLAY)
def test_the_examples_of_a_page_run(
    page, readers_names, nothing_left_of_pictures, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # some save what they made
    if page == "tracking":  # where a loop of optax is there already
        optimizer = optax.sgd(0.1)
        state = optimizer.init(readers_names["params"])
        readers_names |= {"optax": optax, "optimizer": optimizer, "state": state}
    for block in re.findall(r"```python\n(.*?)```", (PAGES / f"{page}.md").read_text(), re.DOTALL):
        # Settings are the reader's, and these tests have theirs.
        code = re.sub(r"^jax\.config\.update\(.*\)$", "", block, flags=re.MULTILINE)
        # One number has no 600 steps to show.
        code = re.sub(r"\b600\b", "60", re.sub(r"\b[12]00\b", "10", code))
        exec(compile(code, f"{page}.md", "exec"), readers_names)
