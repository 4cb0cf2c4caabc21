"""Coefficients of rooted trees."""

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
