"""Bad input, found before anything is traced: each check raises a typed error with its remedy."""

from ._leaves import data as data
from ._leaves import split_params as split_params
from ._loss import loss_output as loss_output
from ._loss import loss_signature as loss_signature
from ._numbers import fraction as fraction
from ._numbers import integer as integer
from ._numbers import non_negative as non_negative
from ._numbers import one_of as one_of
from ._numbers import positive_scalar as positive_scalar
from ._numbers import random_key as random_key
from ._numbers import step_count as step_count
from ._tracing import being_traced as being_traced
from ._tracing import is_traced as is_traced
from ._tracing import single_run as single_run
