"""The benchmark's contenders do the same work, so that their times can be compared; times are not tested."""

from typing import Any

import pytest
import torch

from sparse_robust.bench import CONTENDERS, NETS, main, random_masks
from sparse_robust.rng import stream


@pytest.mark.parametrize("net", NETS)
def test_contenders_end_at_the_same_weights(net: str) -> None:
    x = torch.rand((100, 784), generator=stream(0, "test/bench"))
    y = torch.arange(100) % 10
    ends: dict[str, list[Any]] = {}
    for name, contender in CONTENDERS.items():
        model = NETS[net]((0, 1))
        ends[name] = contender(model, random_masks(model), x, y, 4)
    for module, other, third in zip(*ends.values(), strict=True):
        states = [m.state_dict() for m in (module, other, third)]
        for key, value in states[0].items():
            torch.testing.assert_close(states[1][key].contiguous(), value, rtol=1e-4, atol=1e-6)
            torch.testing.assert_close(states[2][key], value, rtol=1e-4, atol=1e-6)
            if key.endswith("weight"):
                assert 0.6 < float((value == 0).float().mean()) < 0.73


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--replicas", "2", "--steps", "2", "--nets", "lenet-300-100"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("2 replicas, batch 64, masks, cpu")
    assert [line[15:32].strip() for line in lines] == list(CONTENDERS)
    assert all(line.startswith("lenet-300-100") and "replica-iterations/s" in line for line in lines)
    assert lines[-1].endswith(" 1.00x")
