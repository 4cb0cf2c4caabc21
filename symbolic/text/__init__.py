"""Expressions from text, and results as text, LaTeX, JSON and JAX functions."""
