"""What the chapters on pruned networks share: what they print, and how they try the strength of attacks."""

from collections.abc import Mapping

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from sparse_robust import attacks
from sparse_robust.data import embedded_digits, pixels
from sparse_robust.experiments import Spec
from sparse_robust.experiments.ledger import held_rounds
from sparse_robust.experiments.ledger.lenet import Course, course
from sparse_robust.experiments.ledger.rules import comparable, first_below, peak_round
from sparse_robust.experiments.paper import PaperNumber
from sparse_robust.experiments.statistics import paired, per_seed, plus_minus, summary
from sparse_robust.models import LeNet5, LeNet300100
from sparse_robust.notebook import provenance
from sparse_robust.pruning import dense_masks, prune_layers
from sparse_robust.training import Training, train
from sparse_robust.types import LogitsFn

Key = tuple[str, str]
"""A metric and the attack that it rests on."""

DISTANCES: Mapping[str, Key] = {
    f"{attack}{', squared' * squared}": ("r_2_squared" if squared else "r_2", attack)
    for attack in ("DeepFool", "C&W")
    for squared in (False, True)
}
"""Both definitions of r_2 under both l_2 attacks, by label."""

METRICS: Mapping[str, Key] = {
    **{f"r_inf {attack}": ("r_inf", attack) for attack in ("FGS", "rFGS")},
    **{f"r_2 {label}": key for label, key in DISTANCES.items()},
}
"""Every robustness metric of a pruned network, by label."""

BOX = (0.0, 1.0)


def print_protocol(rows: pd.DataFrame, spec: Spec) -> None:
    """What was trained, pruned and attacked, and at which scale."""
    (name,), (scale,) = set(rows.experiment), set(rows.scale)
    print(f"{name}, {scale} scale, spec {spec.key}, seeds {sorted(set(rows.seed))}")
    for what, training in (("dense", spec.dense), ("retrain", spec.retrain)):
        last = training.rate(training.steps - 1)
        print(f"  {what:9}{training.steps} steps of {training.batch_size} digits,", end=" ")
        print(f"{training.schedule}, rate {training.lr:g} to {last:.4f},")
        print(f"           momentum {training.momentum:g},", end=" ")
        print(f"weight decay {training.weight_decay:g}")
    print(f"  prune    {spec.fraction} of each layer's rest, {spec.rounds} times")
    for attack in spec.attacks:
        images = rows[rows.attack == attack.name].n.max()
        print(f"  {attack.name:9}{dict(attack.options)}, {images} images")


def _panels(linf: str, l2: str) -> dict[str, dict[str, Key]]:
    return {
        r"accuracy and $r_\infty$": {linf: ("r_inf", linf), "accuracy": ("accuracy", "")},
        r"$r_2$": {label: key for label, key in DISTANCES.items() if key[1] == l2},
    }


def curves(rows: pd.DataFrame, linf: str, l2: str) -> pd.DataFrame:
    """Accuracy and r_inf, and r_2, under one attack each, as :func:`.plots.sparsity_curves` reads them."""
    return pd.concat(
        summary(rows, *key).replace(float("inf"), float("nan")).assign(panel=panel, label=label)
        for panel, keys in _panels(linf, l2).items()
        for label, key in keys.items()
    )


def print_curves(rows: pd.DataFrame, linf: str, l2: str) -> None:
    """The numbers of :func:`curves`, and where they come from."""
    keys = {"accuracy": ("accuracy", ""), linf: ("r_inf", linf)} | _panels(linf, l2)[r"$r_2$"]
    lines = {label: summary(rows, *key) for label, key in keys.items()}
    text = {
        label: [plus_minus(m, s) for m, s in zip(c["mean"], c.spread, strict=True)]
        for label, c in lines.items()
    }
    sparsity = [f"{100 * s:.2f}" for s in lines["accuracy"].sparsity]
    print(pd.DataFrame({"sparsity, %": sparsity} | text).to_string(index_names=False))
    print(provenance(rows))


def print_failures(rows: pd.DataFrame) -> None:
    """Where l_2 attacks fail, and how far accuracy spreads over seeds by then."""
    for attack in ("DeepFool", "C&W"):
        failed = per_seed(rows, "failures", attack)
        n = rows[rows.attack == attack].n.max()
        some = failed[failed.any(axis=1)]
        print(f"{attack} on {n} images for each of {failed.shape[1]} seeds:", end="\n" if len(some) else " ")
        for round_, f in some.iterrows():
            print(f"  round {round_:2}: {(f > 0).sum()} seeds, fails {int(f.sum())} times")
        if some.empty:
            print("never fails")
    lowest = per_seed(rows, "accuracy").agg(["min", "max"], axis=1)
    print("accuracy of the worst and of the best seed:")
    for round_, (worst, best) in lowest.iloc[len(lowest) // 2 :].iterrows():
        print(f"  round {round_:2}: {worst:.3f} to {best:.3f}")


def print_distances(rows: pd.DataFrame, printed: PaperNumber) -> None:
    """r_2 of the dense networks under DeepFool by both definitions, beside a number of the paper."""
    print(f"paper, DeepFool                  {printed}")
    for what, metric in (("mean distance", "r_2"), ("mean squared distance", "r_2_squared")):
        mean, spread = map(float, summary(rows, metric, "DeepFool").loc[0, ["mean", "spread"]])
        off = 100 * (mean / printed.value - 1)
        print(f"ours, {what:27}{plus_minus(mean, spread)}  ({off:+.1f} %)")


def courses(rows: pd.DataFrame) -> dict[str, Course | None]:
    """The course of every metric along the pruning path."""
    held = held_rounds(rows)
    return {label: course(per_seed(rows, *key), held) for label, key in METRICS.items()}


def print_peaks(rows: pd.DataFrame) -> None:
    """For every metric the round of its peak, that of the seeds' own, and how far it is above dense."""
    last = held_rounds(rows)[-1]
    sparsity = rows.groupby("round").sparsity.mean()
    print(f"accuracy is held to round {last} ({100 * sparsity[last]:.1f} % sparsity)\n")
    print("metric                 peak  seeds' own  rise over dense, 95 % interval")
    for label, c in courses(rows).items():
        if c is not None:
            low, high = (100 * v / c.dense for v in (c.rise.low, c.rise.high))
            gain = 100 * c.rise.mean / c.dense
            print(
                f"{label:23}{c.peak:4}  {c.earliest:4} to {c.latest:2}"
                f"  {gain:+6.1f} % [{low:+.1f}, {high:+.1f}], d = {c.rise.effect:.1f}"
            )


def print_falls(rows: pd.DataFrame) -> None:
    """For accuracy and every metric the rounds of its peak and of its fall."""
    print("round of                peak  below dense    -2 %    -5 %   -10 %  below the peak")
    for label, key in {"accuracy": ("accuracy", ""), **METRICS}.items():
        values = comparable(per_seed(rows, *key))
        top, level = peak_round(values), values.mean(axis=1)
        below = [first_below(values)]
        for loss in (0.02, 0.05, 0.1):
            below += [next((r for r in level.index if r > top and level[r] < (1 - loss) * level[top]), None)]
        print(f"{label:23}{top:5}{below[0] or '-':>12}", *(f"{r or '-':>7}" for r in below[1:]))


def print_lengths(usual: pd.DataFrame, longer: pd.DataFrame) -> None:
    """What longer retraining changes: along the path, and at the peaks, on the seeds and rounds of both.

    Args:
        usual, longer: rows of two lengths, of one scale.
    """
    keys = {"accuracy": ("accuracy", "")} | {k: METRICS[k] for k in ("r_inf FGS", "r_2 DeepFool")}
    pairs, columns = {}, {}
    for label, key in keys.items():
        values = comparable(per_seed(longer, *key))
        same = comparable(per_seed(usual, *key)[values.columns])
        both = values.index.intersection(same.index)
        pairs[label] = same.loc[both], values.loc[both]
        for what, side in zip(("usual", "longer"), pairs[label], strict=True):
            columns[label, what] = side.mean(axis=1).round(4)
    print(pd.DataFrame(columns).to_string(), end="\n\n")
    for label, (short, long) in pairs.items():
        if 0 not in short.index:
            print(f"{label}: an attack failed on the dense networks")
            continue
        tops = [(peak_round(v), 100 * (v.mean(axis=1).max() / v.loc[0].mean() - 1)) for v in (short, long)]
        told = " or ".join(f"{rise:+.1f} % after round {peak}" for peak, rise in tops)
        gaps = (long - short).mean(axis=1).abs()
        worst = int(gaps.index[int(gaps.argmax())])
        change = paired(pd.DataFrame([short.loc[worst], long.loc[worst]], index=[0, 1]), 0, 1)
        print(f"{label}: peak {told};\n  longer less usual, at most: round {worst}, {change}")


def print_masking(rows: pd.DataFrame) -> None:
    """What masked gradients would show in, while accuracy is held."""
    held = held_rounds(rows)
    fgs, rfgs = (summary(rows, "r_inf", attack)["mean"] for attack in ("FGS", "rFGS"))
    failed = {a: per_seed(rows, "failures", a).loc[held].sum(axis=1) for a in ("DeepFool", "C&W")}
    zeros = summary(rows, "activation_sparsity")["mean"]
    print("round  rFGS - FGS   DeepFool, C&W failures   zeros feeding the readout, %")
    for r in held:
        both = f"{int(failed['DeepFool'][r]):6}, {int(failed['C&W'][r])}"
        print(f"{r:5}{rfgs[r] - fgs[r]:12.3f}{both:>16}{100 * zeros[r]:26.1f}")


def stand_ins(
    net: type[LeNet300100] | type[LeNet5], spec: Spec, *, dense: int, retrain: int, rounds: int
) -> dict[str, LeNet300100 | LeNet5]:
    """A dense and a sparse network in double precision, trained in seconds on the digits of the package.

    Args:
        net: which.
        spec: how it is pruned.
        dense: steps of training.
        retrain: steps after each pruning.
        rounds: of pruning.
    """
    digits = embedded_digits().train
    x = pixels(digits).flatten(1).double()
    found, model = {}, net([0]).double()
    masks = dense_masks(model)
    for round_ in range(rounds + 1):
        masks = prune_layers(model, masks, spec.rho) if round_ else masks
        options = Training(steps=retrain if round_ else dense, lr=0.1, schedule="linear", weight_decay=5e-4)
        train(model, masks, x, digits.labels, options, seeds=[0], stage=f"round-{round_}")
        if round_ in (0, rounds):
            copy = net([0]).double()
            copy.load_state_dict(model.state_dict())
            found["sparse" if round_ else "dense"] = copy.eval()
    return found


def iterated(logits_fn: LogitsFn, x: Tensor, y: Tensor, *, eps: float, steps: int = 40) -> Tensor:
    """FGS in many small steps, each projected back into the l_inf ball of radius ``eps`` and the box."""
    at = x
    for _ in range(steps):
        at = attacks.fast_gradient_sign(logits_fn, at, y, eps=2.5 * eps / steps, box=BOX).x_adv
        at = at.clamp(x - eps, x + eps)
    return at


def zero_gradients(logits_fn: LogitsFn, x: Tensor, y: Tensor) -> float:
    """The share of inputs at which the gradient of the loss is exactly zero: no attack sees a way there."""
    inputs = x.clone().requires_grad_()
    logits = logits_fn(inputs)
    loss = functional.cross_entropy(logits.flatten(0, -2), y.flatten(), reduction="sum")
    (gradient,) = torch.autograd.grad(loss, inputs)
    return float((gradient.flatten(y.ndim) == 0).all(-1).double().mean())


def print_strength(
    nets: Mapping[str, LogitsFn],
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    few: int,
    steps: int = 100,
    searches: int = 5,
) -> None:
    """One-step attacks beside an iterated one, and r_2 under attacks of growing effort, on the same images.

    Args:
        nets: by name.
        x: [1, N, D].
        y: [1, N].
        eps: of the l_inf attacks.
        few: how many images the l_2 attacks see.
        steps: of C&W in each search.
        searches: of C&W.
    """
    signs = attacks.random_signs([0], x.shape[1], x.shape[2:])
    for name, net in nets.items():
        fgs = attacks.fast_gradient_sign(net, x, y, eps=eps, box=BOX).flipped
        rfgs = attacks.random_fast_gradient_sign(net, x, y, eps=eps, signs=signs, box=BOX).flipped
        many = net(iterated(net, x, y, eps=eps)).argmax(-1) != y
        kept = [1 - float(flipped.double().mean()) for flipped in (rfgs, fgs, many)]
        print(f"{name:7} r_inf: rFGS {kept[0]:.2f}, FGS {kept[1]:.2f}, iterated {kept[2]:.2f};", end=" ")
        print(f"zero gradients on {100 * zero_gradients(net, x, y):.0f} % of the images")
    x, y = x[:, :few], y[:, :few]
    for name, net in nets.items():
        found = {
            "DeepFool": attacks.deepfool(net, x, y),
            "in the box": attacks.deepfool(net, x, y, box=BOX),
            "C&W": attacks.carlini_wagner(net, x, y, searches=searches, steps=steps),
            "C&W, three times the steps": attacks.carlini_wagner(
                net, x, y, searches=searches, steps=3 * steps
            ),
        }
        print(f"{name:7} r_2:", ", ".join(f"{what} {f.radius.mean():.2f}" for what, f in found.items()))


__all__ = [
    "DISTANCES",
    "METRICS",
    "courses",
    "curves",
    "iterated",
    "print_curves",
    "print_distances",
    "print_failures",
    "print_falls",
    "print_lengths",
    "print_masking",
    "print_peaks",
    "print_protocol",
    "print_strength",
    "stand_ins",
    "zero_gradients",
]
