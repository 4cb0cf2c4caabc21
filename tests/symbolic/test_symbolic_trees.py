"""Coefficients of rooted trees."""

import pytest
import sympy
from sympy import Rational as Q

import symbolic

TREES = {
    2: {"f'f": "-1/2"},
    3: {"f''(f,f)": "1/12", "f'f'f": "1/3"},
    4: {"f''(f,f'f)": "-1/12", "f'f''(f,f)": "-1/12", "f'f'f'f": "-1/4"},
    5: {
        "f''(f,f''(f,f))": "1/120",
        "f''(f,f'f'f)": "1/20",
        "f''(f'f,f'f)": "1/60",
        "f'f''(f,f'f)": "1/10",
        "f'f'f''(f,f)": "3/40",
        "f'f'f'f'f": "1/5",
        "f'''(f,f,f'f)": "-1/120",
        "f'f'''(f,f,f)": "1/180",
        "f''''(f,f,f,f)": "-1/720",
    },
    6: {
        "f''(f,f'f''(f,f))": "-1/120",
        "f''(f,f'f'f'f)": "-1/30",
        "f''(f'f,f'f'f)": "-1/60",
        "f'f''(f,f''(f,f))": "-1/60",
        "f'f''(f,f'f'f)": "-1/15",
        "f'f''(f'f,f'f)": "-1/40",
        "f'f'f''(f,f'f)": "-1/10",
        "f'f'f'f''(f,f)": "-1/15",
        "f'f'f'f'f'f": "-1/6",
        "f'''(f,f,f''(f,f))": "1/240",
        "f'''(f,f,f'f'f)": "1/120",
        "f'''(f,f'f,f'f)": "1/120",
        "f''(f,f'''(f,f,f))": "1/360",
        "f'f'f'''(f,f,f)": "-1/120",
        "f''''(f,f,f,f'f)": "1/360",
        "f'f''''(f,f,f,f)": "1/720",
    },
}


def test_rooted_trees():
    fields = symbolic.tree_coefficients(6)
    for nodes, page in TREES.items():
        found = {symbolic.tree_text(tree): c for tree, c in fields[nodes - 1].items()}
        assert {canonical(k): v for k, v in found.items()} == {
            canonical(k): Q(v) for k, v in page.items()
        }


def canonical(text):
    """The tree as nested sorted tuples, read from the text alone."""

    def read(position):
        primes, position = 0, position + 1
        while position < len(text) and text[position] == "'":
            primes, position = primes + 1, position + 1
        branches = []
        if primes == 1:
            branch, position = read(position)
            branches.append(branch)
        elif primes:
            while text[position] in "(,":
                branch, position = read(position + 1)
                branches.append(branch)
            position += 1
        assert len(branches) == primes
        return tuple(sorted(branches)), position

    tree, end = read(0)
    assert end == len(text)
    return tree


def test_bushy_trees_have_the_numbers_of_bernoulli():
    fields = symbolic.tree_coefficients(7)
    for branches, number in enumerate(("-1/2", "1/6", "0", "-1/30", "0", "1/42"), 1):
        bushy = ((),) * branches
        expected = Q(number) / sympy.factorial(branches)
        assert fields[branches].get(bushy, 0) == expected


def test_the_trees_without_a_coefficient():
    page = ["f''(f,f''(f,f'f))", "f''(f'f,f''(f,f))", "f'f'''(f,f,f'f)", "f'''''(f,f,f,f,f)"]
    found = {canonical(symbolic.tree_text(tree)) for tree in symbolic.tree_coefficients(6)[5]}
    assert len(found) + len(page) == 20  # all rooted trees with six nodes
    assert not found & {canonical(text) for text in page}


def test_too_many_trees():
    with pytest.raises(symbolic.TooMuchWorkError, match="max_order=9"):
        symbolic.tree_coefficients(9)
