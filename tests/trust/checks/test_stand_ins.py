"""Stand-ins for a gradient: whether they show how weak the model behind them is."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import torch
from digits_network import shipped
from threats import found, threat
from torch import nn

import bench
from bench.adapters.network import NetworkAdapter


@dataclass(frozen=True, slots=True)
class Behind(NetworkAdapter):
    """A good network whose gradient nobody sees: attacks climb what stands in its place."""

    stand_in: nn.Module = field(default_factory=nn.Identity)

    def surfaces(self):
        return {"soft-knn": self.stand_in}


def behind(stand_in):
    adapter = bench.wrap(shipped(), 10, (1, 8, 8))
    return Behind(
        **{one.name: getattr(adapter, one.name) for one in fields(adapter)}, stand_in=stand_in
    )


def test_a_stand_in_that_leads_nowhere_is_a_doubt_and_calls_for_more():
    torch.manual_seed(0)
    nowhere = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    finding = found("stand-ins", threat(behind(nowhere), eps="0.2"))
    assert finding.status == "warn"
    assert finding.sentence.startswith(
        "an attack that sees the whole model (300 passes an image) breaks "
    )
    assert "which stand-ins for its gradient did not show" in finding.sentence
    assert finding.value > 0.5
    assert finding.remedy == (
        'add to the suite an [[attacks]] table with name = "adaptive", norm = "linf", eps = "0.2"'
    )


def test_a_stand_in_that_is_the_model_leaves_nothing_to_find():
    assert found("stand-ins", threat(behind(shipped()), eps="0.05", steps=40)).status == "pass"


def test_it_is_not_for_models_that_are_attacked_themselves():
    assert found("stand-ins", threat(shipped())).status == "not applicable"
