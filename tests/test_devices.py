"""The path through a GPU, as far as a machine without one can walk it.

Fake tensors claim to be on a GPU and carry shapes and devices through a forward pass; ``meta`` tensors carry
them through the backward pass, too. Both refuse to be mixed with a tensor that was left on the CPU.
"""

import contextlib
import functools
import itertools
from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call

from sparse_robust.experiments.spec import Spec
from sparse_robust.models.registry import NETWORKS, NetworkName
from sparse_robust.pruning import dense_masks
from sparse_robust.studies.catalogue import find
from sparse_robust.training import descent, objective
from sparse_robust.training.descent import Descent, by_autograd, cross_entropy

NARROW = 8
OF = {"linear": "linear-multiclass"}

each = pytest.mark.parametrize("name", get_args(NetworkName))


def spec_of(name: str) -> Spec:
    (spec,) = find(OF.get(name, name)).specs["paper"]
    return spec


def model_of(name: NetworkName, seeds: tuple[int, ...]) -> torch.nn.Module:
    return NETWORKS[name].build(seeds, 10, NARROW)


def inputs(name: NetworkName) -> int:
    return 3 * 32 * 32 if NETWORKS[name].colour else 28 * 28


@each
def test_a_forward_pass_stays_on_the_gpu(name: NetworkName):
    model = model_of(name, (0, 1)).eval()
    state = dict(itertools.chain(model.named_parameters(), model.named_buffers()))
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        here = {key: mode.from_tensor(tensor.detach()) for key, tensor in state.items()}
        there = {key: tensor.to("cuda") for key, tensor in here.items()}
        x = torch.empty(2, 5, inputs(name), device="cuda")
        logits = functional_call(model, there, (x,))
        assert logits.device.type == "cuda"
        assert logits.shape == (2, 5, 10)
        first = next(iter(state))
        with pytest.raises(RuntimeError, match=r"(?i)device"):
            functional_call(model, there | {first: here[first]}, (x,))


@each
def test_a_step_of_training_mixes_in_nothing_from_elsewhere(name: NetworkName, monkeypatch):
    """On ``meta``: the batch, its augmentation and dropout, gradients, masks and the step itself.

    Autocast and the fused step, which ``meta`` does not know, are replaced.
    """
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    plain = functools.partial(descent.sgd, foreach=False)
    monkeypatch.setattr(descent, "sgd", lambda *args, fused, **options: plain(*args, **options))
    spec, seeds = spec_of(name), (0,)
    options = replace(spec.retrain, batch_size=4, bfloat16=False)
    model = model_of(name, seeds).to("meta")
    masks = {key: mask.to("meta") for key, mask in dense_masks(model).items()}
    colour = NETWORKS[name].colour
    shape, dtype = ((9, 3, 32, 32), torch.uint8) if colour else ((9, 784), torch.float32)
    x, y = torch.empty(shape, dtype=dtype, device="meta"), torch.empty(9, dtype=torch.int64, device="meta")
    loss = (
        objective(model, x, y, options, seeds=seeds, stage="round-1", compiled=False)
        if colour
        else cross_entropy(model, x, y)
    )
    index = torch.empty(1, 4, dtype=torch.int64, device="meta")
    gradients = by_autograd(model, loss, options.batch_size)(index)
    parameters = {key: p.data for key, p in model.named_parameters() if p.requires_grad}
    assert gradients.keys() == parameters.keys()
    assert {gradient.device.type for gradient in gradients.values()} == {"meta"}
    kept = {key: mask.to(parameters[key].dtype) for key, mask in masks.items()}
    Descent(parameters, kept, options).step(gradients, done=0)
