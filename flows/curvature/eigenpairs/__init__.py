"""Eigenpairs of symmetric operators on trees: found from nothing, and followed along a path."""
