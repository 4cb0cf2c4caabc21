"""The BibTeX of what is behind a flow: complete, each paper once, and in the bibliography."""

import pathlib
import re

import jax.numpy as jnp
import pytest

import flows
from flows._citations import _KEYS, ENTRIES

BIBLIOGRAPHY = pathlib.Path(flows.__file__).parent.parent / "docs" / "bibliography.md"
MODELS = [
    flows.GradientFlow(),
    flows.ModifiedFlow(order=2),
    flows.PrincipalFlow(),
    flows.CentralFlow(),
    flows.RodFlow(),
    flows.RMSProp(0.1, 0.9),
    flows.ScalarRMSProp(0.1, 0.9),
    flows.DriftAdjustedDescent(),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_every_model_has_a_source(model):
    text = flows.citation(model)
    assert text.startswith("@")
    assert text.count("{") == text.count("}")
    assert re.search(r"year += \{\d{4}\}", text)


# RMSProp is from a lecture; what is cited is the paper of its flow.
@pytest.mark.parametrize(
    "model", [m for m in _KEYS if m is not flows.RMSProp], ids=lambda model: model.__name__
)
def test_every_paper_is_one_that_the_model_names_itself(model):
    named = " ".join(model.__doc__.split())
    for key in _KEYS[model]:
        (number,) = re.findall(r"eprint += \{(.*)\}", ENTRIES[key]) or [
            "Geometric Numerical Integration"
        ]
        assert number in named


def test_each_paper_once_in_the_order_given():
    text = flows.citation(flows.CentralFlow(), flows.ModifiedFlow(order=3), flows.GradientFlow())
    keys = re.findall(r"@\w+\{(\w+),", text)
    assert keys == ["cohen2025understanding", "hairer2006geometric", "barrett2021implicit"]


def test_what_has_no_paper_has_no_entry():
    assert flows.citation(flows.GradientDescent(0.1)) == ""


@pytest.mark.parametrize("wrong", [flows.RodFlow, "RodFlow", None, jnp.ones(2)])
def test_other_things_are_refused(wrong):
    with pytest.raises(flows.InvalidOptionError, match="Pass an instance"):
        flows.citation(wrong)


def test_nothing_is_refused():
    with pytest.raises(flows.InvalidOptionError, match="at least one"):
        flows.citation()


def test_the_bibliography_has_every_entry():
    text = BIBLIOGRAPHY.read_text()
    for entry in ENTRIES.values():
        (number,) = re.findall(r"eprint += \{(.*)\}", entry) or ["Geometric Numerical Integration"]
        assert number in text
