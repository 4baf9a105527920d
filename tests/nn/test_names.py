"""Modules and parameters by names that torch itself refuses."""

import pytest
import torch
from torch import nn

from skdaep.nn.names import ModulesByName, ParametersByName

NAMES = ["spectrum", "", ".", "a.b", "a%2Eb", "[a].[b]", "keys", "[keys]", "é "]
NAMES += {*dir(nn.ModuleDict()), *dir(nn.ParameterDict())}


@pytest.mark.parametrize(
    ("kind", "make"),
    [(ModulesByName, lambda: nn.Linear(1, 1)), (ParametersByName, lambda: nn.Parameter(torch.zeros(1)))],
)
def test_each_name_has_what_was_stored_under_it(kind, make):
    stored = {name: make() for name in NAMES}
    by_name = kind(stored)
    assert len(by_name) == len(stored)
    assert all(by_name[name] is what for name, what in stored.items())
    assert all(name in by_name for name in NAMES)
    assert "absent" not in by_name
    tensors = sum(1 if isinstance(x, nn.Parameter) else len(list(x.parameters())) for x in stored.values())
    assert len(by_name.state_dict()) == tensors
    by_name.load_state_dict(by_name.state_dict())
