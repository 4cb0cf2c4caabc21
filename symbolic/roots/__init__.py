"""Roots of equations: what sympy solves, isolating intervals, systems, and the unit disc."""
