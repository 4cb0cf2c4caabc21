# sympy's own annotations cover a part of it only, and what they infer for arithmetic is wrong
# often enough (sympy 1.14) to hide our own mistakes among false alarms. To the checker its objects
# are therefore of any type; remove this file when that has changed.
from typing import Any

def __getattr__(name: str) -> Any: ...
