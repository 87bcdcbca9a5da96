"""Three small networks that the book carries, to be attacked on its front page and in the reader's browser.

They are LeNet-300-100 at three sparsities, from stored checkpoints, with weights rounded to eight bits: a
row of a layer's weights is a vector of int8 times a scale, and what is pruned is exactly zero.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparse_robust.data import Split, load_mnist, pixels
from sparse_robust.experiments import Store
from sparse_robust.experiments.checkpoints import Replica
from sparse_robust.experiments.files import write_atomically
from sparse_robust.experiments.load import stored
from sparse_robust.experiments.machine import code_version
from sparse_robust.experiments.statistics import summary
from sparse_robust.studies.catalogue import find
from sparse_robust.types import LogitsFn

FOLDER = Path(__file__).resolve().parents[3] / "book" / "_static" / "playground"
EXPERIMENT = "lenet-300-100"
LAYERS = ("hidden_1", "hidden_2", "readout")
SEED = 0


@dataclass(frozen=True)
class QuantisedLayer:
    """An affine map as the browser reads it.

    Attributes:
        weights: int8 [O, I].
        scales: float32 [O]; the weight is scale times integer.
        biases: float32 [O].
    """

    weights: np.ndarray
    scales: np.ndarray
    biases: np.ndarray


def networks(folder: Path = FOLDER) -> dict[str, LogitsFn]:
    """The carried networks, ``[N, 28, 28] -> [N, 10]`` in the precision of their input, by name.

    Raises:
        FileNotFoundError: if there are none; ``python -m sparse_robust playground`` writes them.
    """
    return {name: _logits(layers) for name, layers in carried(folder).items()}


def carried(folder: Path = FOLDER) -> dict[str, list[QuantisedLayer]]:
    """The layers of the carried networks, by name; raises as :func:`networks`."""
    described = json.loads((folder / "networks.json").read_text(encoding="utf-8"))
    data = (folder / "networks.bin").read_bytes()
    return {net["name"]: _unpack(net["layers"], data) for net in described["networks"]}


def first_weights(folder: Path = FOLDER) -> dict[str, np.ndarray]:
    """The weights [300, 784] of each carried network's first layer, by name; raises as :func:`networks`."""
    return {name: layers[0].weights * layers[0].scales[:, None] for name, layers in carried(folder).items()}


def write(store: Store, root: Path | str | None = None, folder: Path = FOLDER) -> list[dict[str, Any]]:
    """Write the networks from the stored checkpoints of the paper's protocol, and say what they are.

    Args:
        store: where the checkpoints are.
        root: where MNIST is, see :func:`~sparse_robust.data.load_mnist`.
        folder: to write to.

    Returns:
        one record for each network: name, round, sparsity, accuracy before and after rounding.

    Raises:
        FileNotFoundError: if a checkpoint is missing or damaged; the message says how to train it.
    """
    (spec,) = find(EXPERIMENT).variants("paper")
    dataset = load_mnist(root)
    shape = spec.network.build([SEED], len(spec.classes), spec.narrow).state_dict()
    like = {name: tensor[0] for name, tensor in shape.items()}
    like |= {f"mask/{part}.weight": like[f"{part}.weight"].bool() for part in LAYERS}
    records, blob = [], b""
    for name, round_ in rounds().items():
        replica = Replica(spec.checkpoint_key(round_), dataset.fingerprint, SEED, round_)
        checkpoint = store.find_checkpoint(replica, like)
        if checkpoint is None:
            train = f"python -m sparse_robust run {EXPERIMENT} --profile paper --seeds {SEED}"
            raise FileNotFoundError(f"{store.checkpoint_path(replica)}: no checkpoint, first run: {train}")
        state = checkpoint.tensors
        layers = [quantised(state[f"{part}.weight"], state[f"{part}.bias"][0]) for part in LAYERS]
        exact = [
            QuantisedLayer(
                state[f"{part}.weight"].numpy(), np.ones(1, "f4"), state[f"{part}.bias"][0].numpy()
            )
            for part in LAYERS
        ]
        places, packed = _pack(layers, len(blob))
        blob += packed
        masks = torch.cat([state[f"mask/{part}.weight"].flatten() for part in LAYERS])
        records.append(
            {
                "name": name,
                "round": round_,
                "sparsity": 1 - float(masks.double().mean()),
                "accuracy": accuracy(_logits(layers), dataset.test),
                "accuracy before rounding": accuracy(_logits(exact), dataset.test),
                "layers": places,
            }
        )
    commit, _ = code_version()
    described = {"experiment": EXPERIMENT, "spec": spec.key, "seed": SEED, "data": dataset.fingerprint}
    described |= {"written at commit": commit, "networks": records}
    write_atomically(folder / "networks.bin", blob)
    write_atomically(folder / "networks.json", (json.dumps(described, indent=1) + "\n").encode())
    return [{key: value for key, value in record.items() if key != "layers"} for record in records]


def rounds() -> dict[str, int]:
    """Which round of pruning each network is from, by the published rows.

    Pruned is where accuracy under FGS is highest, over-pruned the last round in which accuracy is within one
    point of dense.
    """
    rows = stored(find(EXPERIMENT), "published")
    clean = summary(rows, "accuracy")["mean"]
    held = clean.index[clean > clean[0] - 0.01]
    return {
        "dense": 0,
        "pruned": int(summary(rows, "r_inf", "FGS")["mean"][held].idxmax()),
        "over-pruned": int(held[-1]),
    }


def quantised(weight: Tensor, bias: Tensor) -> QuantisedLayer:
    """Weights [O, I] rounded to 255 levels a row, symmetric about zero; biases [O] as they are."""
    largest = weight.abs().amax(1)
    scales = torch.where(largest > 0, largest / 127, 1.0)
    return QuantisedLayer(
        (weight / scales[:, None]).round().to(torch.int8).numpy(),
        scales.float().numpy(),
        bias.float().numpy(),
    )


def accuracy(network: LogitsFn, test: Split) -> float:
    """The share of test images that the network gets right."""
    return float((network(pixels(test)).argmax(-1) == test.labels).double().mean())


def _logits(layers: Sequence[QuantisedLayer]) -> LogitsFn:
    """The network [N, 28, 28] -> [N, 10], or [R, N, 28, 28] -> [R, N, 10], in the precision of its input."""
    exact = [
        (
            torch.from_numpy(a.weights * a.scales[:, None].astype("f8")),
            torch.from_numpy(a.biases.astype("f8")),
        )
        for a in layers
    ]

    def logits(x: Tensor) -> Tensor:
        z = x.flatten(x.ndim - 2)
        for j, (weight, bias) in enumerate(exact):
            z = z @ weight.to(x.dtype).mT + bias.to(x.dtype)
            z = z.relu() if j < len(exact) - 1 else z
        return z

    return logits


def _pack(layers: list[QuantisedLayer], start: int) -> tuple[list[dict[str, Any]], bytes]:
    """Every array at an offset that is a multiple of four, as typed arrays in a browser need it."""
    places, blob = [], b""
    for layer in layers:
        place: dict[str, Any] = {"shape": list(layer.weights.shape)}
        for name, array in asdict(layer).items():
            place[name] = start + len(blob)
            raw = array.astype(array.dtype.newbyteorder("<")).tobytes()
            blob += raw + bytes(-len(raw) % 4)
        places.append(place)
    return places, blob


def _unpack(places: Sequence[Mapping[str, Any]], blob: bytes) -> list[QuantisedLayer]:
    """The arrays of :func:`_pack`."""
    layers = []
    for place in places:
        outputs, inputs = place["shape"]
        weights = np.frombuffer(blob, "i1", outputs * inputs, place["weights"]).reshape(outputs, inputs)
        scales, biases = (np.frombuffer(blob, "<f4", outputs, place[name]) for name in ("scales", "biases"))
        layers.append(QuantisedLayer(weights, scales, biases))
    return layers
