"""Exact step-size thresholds, orbits and modified equations, with sympy."""
