"""How strong attacks are: on small networks trained in seconds, weaker and stronger attacks side by side."""

import copy
from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from sparse_robust import attacks
from sparse_robust.data import embedded_digits, pixels
from sparse_robust.experiments import Spec
from sparse_robust.models import Classifier, prunable
from sparse_robust.pruning import dense_masks, prune_layers
from sparse_robust.training import Training, train
from sparse_robust.types import LogitsFn

BOX = (0.0, 1.0)


def stand_ins(spec: Spec, *, dense: int, retrain: int, rounds: int) -> dict[str, Classifier]:
    """A dense and a sparse network in double precision, trained in seconds on the digits of the package.

    Args:
        spec: which network, and how it is pruned.
        dense: steps of training.
        retrain: steps after each pruning.
        rounds: of pruning.
    """
    digits, network = embedded_digits().train, spec.network
    x = pixels(digits).flatten(1).double()
    model = network.build([0], len(spec.classes), spec.narrow).double()
    masks, stages = dense_masks(model), {}
    for round_ in range(rounds + 1):
        masks = prune_layers(model, masks, spec.rho) if round_ else masks
        options = Training(steps=retrain if round_ else dense, lr=0.1, schedule="linear", weight_decay=5e-4)
        fast = network.gradients and network.gradients(model, x, digits.labels, options.batch_size)
        stage = f"round-{round_}"
        train(model, masks, x, digits.labels, options, seeds=[0], stage=stage, gradients=fast)
        stages[round_] = copy.deepcopy(model)
    return {"dense": stages[0], "sparse": stages[rounds]}


def described(nets: Mapping[str, Any], x: Tensor, y: Tensor) -> pd.DataFrame:
    """What small networks are like, before they are attacked.

    Args:
        nets: by name, such as show what their units do (``activations``).
        x: [1, N, D].
        y: [1, N].

    Returns:
        columns network, accuracy, zero weights (their number), silent (the share of units that are off at the
        input of the output layer).
    """
    lines = []
    for name, net in nets.items():
        zeros = sum(int((weight == 0).sum()) for weight in prunable(net).values())
        silent = (net.activations(x)[-1] == 0).double().mean()
        lines.append((name, float((net(x).argmax(-1) == y).double().mean()), zeros, float(silent)))
    return pd.DataFrame(lines, columns=["network", "accuracy", "zero weights", "silent"])


def zero_gradients(logits_fn: LogitsFn, x: Tensor, y: Tensor) -> float:
    """The share of inputs at which the gradient of the loss is exactly zero: no attack sees a way there."""
    inputs = x.clone().requires_grad_()
    logits = logits_fn(inputs)
    loss = functional.cross_entropy(logits.flatten(0, -2), y.flatten(), reduction="sum")
    (gradient,) = torch.autograd.grad(loss, inputs)
    return float((gradient.flatten(y.ndim) == 0).all(-1).double().mean())


def linf_strength(nets: Mapping[str, LogitsFn], x: Tensor, y: Tensor, *, eps: float) -> pd.DataFrame:
    """r_inf under one-step attacks beside 40 steps of PGD, on the same images.

    Args:
        nets: by name.
        x: [1, N, D].
        y: [1, N].
        eps: l_inf radius, pixel units.

    Returns:
        columns network, rFGS, FGS, PGD, and zero gradients, the share of images without a gradient.
    """
    signs = attacks.random_signs([0], x.shape[1], x.shape[2:])
    lines = []
    for name, net in nets.items():
        fgs = attacks.fast_gradient_sign(net, x, y, eps=eps, box=BOX).flipped
        rfgs = attacks.random_fast_gradient_sign(net, x, y, eps=eps, signs=signs, box=BOX).flipped
        many = attacks.projected_gradient_descent(net, x, y, eps=eps, steps=40, box=BOX).flipped
        kept = [1 - float(flipped.double().mean()) for flipped in (rfgs, fgs, many)]
        lines.append((name, *kept, zero_gradients(net, x, y)))
    return pd.DataFrame(lines, columns=["network", "rFGS", "FGS", "PGD", "zero gradients"])


def l2_strength(
    nets: Mapping[str, LogitsFn], x: Tensor, y: Tensor, *, steps: int = 100, searches: int = 5
) -> pd.DataFrame:
    """Mean distances under attacks of growing effort, on the same images.

    Args:
        nets: by name.
        x: [1, N, D].
        y: [1, N].
        steps: of C&W in each search.
        searches: of C&W.

    Returns:
        columns network, and one for each attack.
    """
    lines = []
    for name, net in nets.items():
        results = {
            "DeepFool": attacks.deepfool(net, x, y),
            "DeepFool in the box": attacks.deepfool(net, x, y, box=BOX),
            "C&W": attacks.carlini_wagner(net, x, y, searches=searches, steps=steps),
            "C&W, three times the steps": attacks.carlini_wagner(
                net, x, y, searches=searches, steps=3 * steps
            ),
        }
        distances = {attack: float(result.radius.mean()) for attack, result in results.items()}
        lines.append({"network": name} | distances)
    return pd.DataFrame(lines)
