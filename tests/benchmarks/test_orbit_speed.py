"""How fast orbits are followed: make benchmark."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from timing import machine, seconds  # noqa: F401

import flows
