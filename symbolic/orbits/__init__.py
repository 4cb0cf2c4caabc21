"""What descent does past a threshold: cycles, crises, and the steps at which they begin."""
