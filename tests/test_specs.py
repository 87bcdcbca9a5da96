"""Specs and the catalogue: addresses that stay, defaults that stay, profiles that exist."""

import inspect
import json
from dataclasses import MISSING, field, fields, make_dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparse_robust import attacks, metrics
from sparse_robust.experiments import PROFILES, Attack, Experiment, Profile, Spec
from sparse_robust.experiments.spec import Operations, content
from sparse_robust.pruning import Surgery
from sparse_robust.studies.catalogue import CATALOGUE, find
from sparse_robust.training import Training
from sparse_robust.verification.milp import Solver

ATTACKS = {  # of the paper
    "FGS": attacks.fast_gradient_sign,
    "rFGS": attacks.random_fast_gradient_sign,
    "DeepFool": attacks.deepfool,
    "C&W": attacks.carlini_wagner,
}
STRONG = {
    "PGD": attacks.projected_gradient_descent,
    "APGD": attacks.adaptive_projected_gradient_descent,
    "minimal l_2": attacks.minimal_l2,
    "DeepFool in the box": attacks.deepfool,
}
ESTIMATES = {"CLEVER l_2": metrics.clever, "CLEVER l_inf": metrics.clever}
OPTIONS = {  # of each name, by keyword
    name: {parameter for part in parts for parameter in inspect.signature(part).parameters}
    for name, parts in {
        **{name: [attack] for name, attack in (ATTACKS | STRONG | ESTIMATES).items()},
        **{f"verification {norm}": [Solver] for norm in ("l_inf", "l_2")},
        **{f"certificates {norm}": [metrics.clever, Solver] for norm in ("l_inf", "l_2")},
    }.items()
}

# A stored row names its spec by this address, so an address that changes orphans what is stored, and a
# meaning that changes under a fixed address would pass old numbers for new ones.
KEYS = {
    ("linear-binary", "smoke"): ["4a7e38cb9824"],
    ("linear-binary", "laptop"): ["f0ed152707ff"],
    ("linear-binary", "paper"): ["22a1a31a7b52"],
    ("linear-multiclass", "smoke"): ["df7fcd88f0de"],
    ("linear-multiclass", "laptop"): ["b1c8acf88e6d"],
    ("linear-multiclass", "paper"): ["6a2bf6bf2a52"],
    ("lenet-300-100", "smoke"): ["331c44bad46d"],
    ("lenet-300-100", "laptop"): ["e6357f1eab95"],
    ("lenet-300-100", "paper"): ["60bb1409e784"],
    ("lenet-300-100-retraining", "smoke"): ["d6ea014ba329"],
    ("lenet-300-100-retraining", "laptop"): ["4439a5f8cda8"],
    ("lenet-300-100-retraining", "paper"): ["63e609ef372f"],
    ("clever", "smoke"): ["c21af8f3da18"],
    ("clever", "laptop"): ["2664280128ab"],
    ("clever", "paper"): ["73f222d11622"],
    ("strong-attacks", "smoke"): ["64e2caa6df1f"],
    ("strong-attacks", "laptop"): ["74db42db839c"],
    ("strong-attacks", "paper"): ["75eb5b578ec5"],
    ("verification", "smoke"): ["ee00f4024ef9", "b6290c0a2bbd"],
    ("verification", "laptop"): ["e534211da3a5", "6f4c6aba34cc"],
    ("verification", "paper"): ["c5ab2823bd91", "1f5833400259"],
    ("certificates", "smoke"): ["bedee02497da"],
    ("certificates", "laptop"): ["970e58d0f9bf"],
    ("certificates", "paper"): ["2b581d705174"],
    ("lenet-5", "smoke"): ["098de69d9e14"],
    ("lenet-5", "laptop"): ["1a9c87869f79"],
    ("lenet-5", "paper"): ["8640d11ec37e"],
    ("activation-sparsity", "smoke"): ["ae2640323a0a", "8db227a13406", "ce248fca1e3b"],
    ("activation-sparsity", "laptop"): [
        *("b4c8846d1ab4", "e32ad0b9f200", "43a0afd21c43", "65b84656365d", "114e8f80073c"),
        *("02dd7d922b80", "08c9c282dd63", "9bf3adc9d764", "dad09e39e3eb"),
    ],
    ("activation-sparsity", "paper"): [
        *("d228f46b72f3", "29a8b3d71054", "a97ff2a48963", "098befd92057", "9f8829731888"),
        *("74170b213139", "e3ddbec2313a", "479ddecb49a1", "6d2233645379"),
    ],
    ("activation-sparsity-lenet-5", "smoke"): ["55415e32c7d9", "057c143d54b7"],
    ("activation-sparsity-lenet-5", "laptop"): [
        *("8048cf4172da", "915f803548b7", "ea185b3a62a1", "50c682e6d4e8", "11c997c0af00"),
        *("920589806a28", "5191b6990714", "c912a02f32c5"),
    ],
    ("activation-sparsity-lenet-5", "paper"): [
        *("d2798b219689", "8492f87e4f31", "e8f245c65c69", "03295a788b93", "cab3a35fab5a"),
        *("dc4f9f1b9acb",),
    ],
    ("over-pruning", "smoke"): ["fb774e300423", "9074d1cfbedf", "599f10d9858e", "954a76474dab"],
    ("over-pruning", "laptop"): ["b45bf07b7a93", "9df9ed763ae3", "1e6d5d5ea3f4", "31872178576f"],
    ("over-pruning", "paper"): ["b45bf07b7a93", "9df9ed763ae3", "1e6d5d5ea3f4", "31872178576f"],
    ("surgery", "smoke"): ["7daeee00380d"],
    ("surgery", "laptop"): ["6559afc74b64"],
    ("surgery", "paper"): ["8ca533ebf365"],
    ("surgery-lenet-5", "smoke"): ["c8ccb2fd8ad7"],
    ("surgery-lenet-5", "laptop"): ["9551ede59413"],
    ("surgery-lenet-5", "paper"): ["e2e78b44672b"],
    ("vgg", "smoke"): ["7c7ede8519f9"],
    ("vgg", "laptop"): ["c6e96d3a7de3"],
    ("vgg", "paper"): ["eca97c173737"],
    ("resnet-32", "smoke"): ["806ab56bd982"],
    ("resnet-32", "laptop"): ["435359a17723"],
    ("resnet-32", "paper"): ["944681783dba"],
    ("linear-binary-controls", "smoke"): ["51a96faf7ac5", "cb5850f1c613"],
    ("linear-binary-controls", "laptop"): ["8034a5b28fb9", "e5471723affe"],
    ("linear-binary-controls", "paper"): ["5a22057f3d84", "68ffde7cb716"],
    ("linear-multiclass-controls", "smoke"): ["6d5b33ac4329", "29f397581cdb"],
    ("linear-multiclass-controls", "laptop"): ["8a7bf48b8242", "3e23b8d1e9f4"],
    ("linear-multiclass-controls", "paper"): ["ed4900e9edd9", "cdc2f006bd5b"],
    ("lenet-300-100-controls", "smoke"): ["597ff33341ea", "b621a2fb55fa"],
    ("lenet-300-100-controls", "laptop"): ["530e935c7667", "f741aeacbf51"],
    ("lenet-300-100-controls", "paper"): ["46f3bb394d7e", "17c2e42061a4"],
    ("lenet-5-controls", "smoke"): ["718e1bf16645", "0a676a005280"],
    ("lenet-5-controls", "laptop"): ["c7debdba1a31", "1d85a05a2f49"],
    ("lenet-5-controls", "paper"): ["bb78b173134b", "b4e26bd48115"],
    ("vgg-controls", "smoke"): ["8c9d097b3696", "3bbdae2853a4"],
    ("vgg-controls", "laptop"): ["27013eeb9737", "0bbf1aae88ba"],
    ("vgg-controls", "paper"): ["973496062d39", "d6902786f71f"],
    ("resnet-32-controls", "smoke"): ["e71aa5c8b396", "60fdeadf0e5d"],
    ("resnet-32-controls", "laptop"): ["57e75dd8944e", "1c3c0bf94f67"],
    ("resnet-32-controls", "paper"): ["a8150e6b25f6", "6b239aec7e82"],
    ("linear-training", "smoke"): ["92e290de8de4", "86a2432bd89a", "cebb3512c4e1", "e6b24357d6ca"],
    ("linear-training", "laptop"): [
        *("1a4a3240f10a", "56c3812f2ebc", "7b0fc8752b2f", "13ff12d58a16", "6aabadb7954b"),
        *("1aa66a0969b3", "794dc1cce159", "e6bc20458108", "aaa6fdb99780"),
    ],
    ("linear-training", "paper"): [
        *("1a4a3240f10a", "56c3812f2ebc", "7b0fc8752b2f", "13ff12d58a16", "cca2a746bb45"),
        *("dfec7d4f5740", "d3a1be241ba6", "3a4cf43274a7", "3a81170409e7", "a09b1381cc92"),
    ],
    ("clever-images", "smoke"): ["f30061787f56"],
    ("clever-images", "laptop"): ["922e39f00cdd"],
    ("clever-images", "paper"): ["ee7f58f2d98f"],
    ("over-pruning-strong", "smoke"): ["c1500dfbc256", "1f1873ea9ca7", "bd9489e19393", "41fbec116873"],
    ("over-pruning-strong", "laptop"): ["28b9ac6d6511", "d8c43b64ba86", "243a19bf88e0", "1bef0461e8c9"],
    ("over-pruning-strong", "paper"): ["fb5d703b2ae5", "6036f4331920", "9903913cab9f", "66ffef0a2ae8"],
}

PAPER = CATALOGUE["linear-binary"].specs["paper"][0]
SURGERY = Surgery((1.0,), stop=5)
OPERATED = replace(PAPER, rounds=1, surgery=Operations(Training(steps=9), (SURGERY,)))


def every() -> list[tuple[Experiment, Profile]]:
    return [(e, p) for e in CATALOGUE.values() for p in PROFILES if p in e.specs]


each = pytest.mark.parametrize(("experiment", "profile"), every(), ids=[f"{e.name}-{p}" for e, p in every()])


def test_addresses_are_frozen() -> None:
    assert {(e.name, p): [spec.key for spec in e.specs[p]] for e, p in every()} == KEYS


def test_defaults_are_frozen() -> None:
    """A default is left out of the address, so a new value for one would change what addresses mean."""

    def defaults(kind: type) -> dict[str, object]:
        return {f.name: f.default for f in fields(kind) if f.default is not MISSING}

    assert defaults(Training) == {
        "batch_size": 64,
        "lr": 0.01,
        "momentum": 0.9,
        "weight_decay": 0.0,
        "schedule": "constant",
        "gamma": 0.0,
        "power": 0.0,
        "l1": 0.0,
        "nesterov": False,
        "warmup": 0,
        "augment": 0,
        "bfloat16": False,
    }
    assert defaults(Attack) == {"options": (), "examples": None}
    assert defaults(Spec) == {
        "eps": 0.1,
        "test_examples": None,
        "measure_every": 1,
        "weights": None,
        "surgery": None,
        "dense_ends": False,
        "narrow": 1,
        "selection": "magnitude",
    }
    assert defaults(Surgery) == {"gamma": 1e-4, "power": 1.0, "margin": 0.1}
    options = {
        name: {
            p.name: p.default
            for p in inspect.signature(attack).parameters.values()
            if p.default is not inspect.Parameter.empty
        }
        for name, attack in (ATTACKS | STRONG | ESTIMATES | {"solver": Solver}).items()
    }
    assert options == {
        "FGS": {"box": None},
        "rFGS": {"step": None, "box": None},
        "DeepFool": {"steps": 50, "overshoot": 0.02, "box": None, "classes": None},
        "C&W": {
            "steps": 100,
            "searches": 9,
            "lr": 0.1,
            "first_c": 1.0,
            "confidence": 0.0,
            "box": (0.0, 1.0),
        },
        "PGD": {"steps": 40, "step_size": None, "noise": None, "box": None},
        "APGD": {"steps": 100, "noise": None, "box": None},
        "minimal l_2": {"steps": 24, "images": None, "box": (0.0, 1.0)},
        "DeepFool in the box": {"steps": 50, "overshoot": 0.02, "box": None, "classes": None},
        "solver": {"seconds": 30.0, "nodes": None, "unstable": None, "seed": 0},
        **{name: {"first": 0, "box": None, "shape_penalty": 0.01, "chunk": 512} for name in ESTIMATES},
    }


def test_a_new_field_with_a_default_keeps_every_address() -> None:
    wider = make_dataclass("Wider", [("novelty", int, field(default=0))], bases=(Spec,), frozen=True)
    values = {f.name: getattr(PAPER, f.name) for f in fields(Spec)}
    assert wider(**values).key == PAPER.key
    assert wider(**values, novelty=1).key != PAPER.key

    longer = make_dataclass("Longer", [("novelty", int, field(default=0))], bases=(Training,), frozen=True)
    dense = {f.name: getattr(PAPER.dense, f.name) for f in fields(Training)}
    assert replace(PAPER, dense=longer(**dense)).key == PAPER.key
    assert replace(PAPER, dense=longer(**dense, novelty=1)).key != PAPER.key


def test_every_field_is_in_the_address() -> None:
    other = {
        "model": "lenet",
        "data": "mnist-sample",
        "classes": (7, 1),
        "dense": replace(PAPER.dense, momentum=0.8),
        "retrain": replace(PAPER.retrain, steps=1),
        "rounds": 15,
        "fraction": "1/2",
        "attacks": PAPER.attacks[::-1],
        "eps": 0.2,
        "test_examples": 10,
        "measure_every": 2,
        "weights": "caffe_lenet5_sparse",
        "surgery": OPERATED.surgery,
        "dense_ends": True,
        "narrow": 2,
        "selection": "random",
    }
    assert set(other) == {f.name for f in fields(Spec)}, "a new field: add a value for it here"
    keys = {replace(PAPER, **{name: value}).key for name, value in other.items()}
    training = {"steps": 1, "batch_size": 1, "lr": 1.0, "momentum": 0.0, "weight_decay": 1.0}
    training |= {"gamma": 1.0, "power": 1.0, "l1": 1.0, "schedule": "constant"}  # type: ignore[dict-item]
    training |= {"nesterov": True, "warmup": 1, "augment": 4, "bfloat16": True}
    assert set(training) == {f.name for f in fields(Training)}
    keys |= {replace(PAPER, dense=replace(PAPER.dense, **{n: v})).key for n, v in training.items()}
    surgery = {"strengths": (2.0,), "stop": 6, "gamma": 1.0, "power": 2.0, "margin": 0.2}
    assert set(surgery) == {f.name for f in fields(Surgery)}
    cuts = [Operations(Training(steps=9), (replace(SURGERY, **{n: v}),)) for n, v in surgery.items()]
    cuts += [Operations(Training(steps=8), (SURGERY,)), Operations(Training(steps=9), (SURGERY, SURGERY))]
    keys |= {replace(PAPER, surgery=cut).key for cut in cuts}
    keys |= {replace(PAPER, attacks=(Attack("FGS", (("eps", eps),)),)).key for eps in (0.1, 0.2)}
    assert len(keys | {PAPER.key}) == len(other) + len(training) + len(cuts) + 2 + 1


specs = st.builds(
    Spec,
    model=st.just("linear"),
    data=st.sampled_from(["mnist", "mnist-sample"]),
    classes=st.lists(st.integers(0, 9), min_size=2, unique=True).map(tuple),
    dense=st.builds(Training, steps=st.integers(1, 3), lr=st.sampled_from([0.01, 0.1])),
    retrain=st.builds(Training, steps=st.integers(1, 3), batch_size=st.sampled_from([32, 64])),
    rounds=st.integers(0, 2),
    fraction=st.sampled_from(["1/3", "1/2"]),
    attacks=st.lists(st.builds(Attack, st.sampled_from(list(ATTACKS))), max_size=2).map(tuple),
    eps=st.sampled_from([0.1, 0.2]),
    test_examples=st.sampled_from([None, 10]),
)


def test_checkpoints_are_shared_by_specs_that_only_measure_differently() -> None:
    measured = (
        replace(PAPER, attacks=()),
        replace(PAPER, eps=0.3),
        replace(PAPER, test_examples=7),
        replace(PAPER, rounds=2),
        replace(PAPER, measure_every=4),
    )
    assert {spec.training_key for spec in measured} == {PAPER.training_key}
    trained = (
        replace(PAPER, fraction="1/2"),
        replace(PAPER, classes=(1, 2)),
        replace(PAPER, data="mnist-sample"),
        replace(PAPER, dense=replace(PAPER.dense, steps=1)),
        replace(PAPER, retrain=replace(PAPER.retrain, steps=1)),
    )
    assert len({spec.training_key for spec in (PAPER, *trained)}) == len(trained) + 1


def test_surgery_shares_the_dense_references_and_nothing_else() -> None:
    assert OPERATED.checkpoint_key(0) == PAPER.checkpoint_key(0) == PAPER.training_key
    assert OPERATED.checkpoint_key(1) == OPERATED.training_key != PAPER.checkpoint_key(1)
    assert PAPER.checkpoint_key(3) == PAPER.training_key
    assert [OPERATED.training(r).steps for r in (0, 1)] == [PAPER.dense.steps, 9]
    assert [PAPER.training(r) for r in (0, 1)] == [PAPER.dense, PAPER.retrain]


@pytest.mark.parametrize(("name", "net"), [("surgery", "lenet-300-100"), ("surgery-lenet-5", "lenet-5")])
@pytest.mark.parametrize("profile", PROFILES)
def test_surgery_is_measured_as_the_pruning_that_it_is_compared_with(
    name: str, net: str, profile: Profile
) -> None:
    (spec,), (pruned,) = (find(n).specs[profile] for n in (name, net))
    assert find(name).seeds[profile] == find(net).seeds[profile]
    assert spec.surgery is not None
    assert spec.rounds == len(spec.surgery.surgeries)
    assert replace(spec, rounds=pruned.rounds, surgery=None) == pruned
    assert spec.checkpoint_key(0) == pruned.checkpoint_key(0)
    deep = [surgery.strengths for surgery in spec.surgery.surgeries]
    assert all(a < b for less, more in pairwise(deep) for a, b in zip(less, more, strict=True))
    assert all(surgery.stop < spec.surgery.training.steps for surgery in spec.surgery.surgeries)


CONTROLLED = [name for name in CATALOGUE if f"{name}-controls" in CATALOGUE]


def test_every_pruning_path_has_controls() -> None:
    paths = {
        e.name
        for e in CATALOGUE.values()
        if not e.name.endswith("-controls")
        if any(spec.rounds and not spec.surgery for specs in e.specs.values() for spec in specs)
    }
    others = {"clever", "clever-images", "strong-attacks", "verification", "certificates"}
    variations = {"lenet-300-100-retraining"} | others  # of the path of lenet-300-100
    assert set(CONTROLLED) == paths - variations


@pytest.mark.parametrize("name", CONTROLLED)
def test_controls_train_as_the_path_does_and_select_otherwise(name: str) -> None:
    path, controls = find(name), find(f"{name}-controls")
    assert path.specs.keys() == controls.specs.keys()
    for profile, (spec,) in path.specs.items():
        seeds = controls.seeds[profile]
        assert seeds == path.seeds[profile][: len(seeds)]
        assert [control.selection for control in controls.specs[profile]] == ["none", "random"]
        for control in controls.specs[profile]:
            assert replace(control, selection="magnitude", attacks=spec.attacks) == spec
            assert set(control.attacks) <= set(spec.attacks)
            assert control.checkpoint_key(0) == spec.checkpoint_key(0), "the dense references are shared"
            assert control.checkpoint_key(1) != spec.checkpoint_key(1)


@given(specs, specs)
def test_equal_specs_and_they_alone_share_an_address(one: Spec, other: Spec) -> None:
    assert (one == other) == (one.key == other.key)
    assert one != other or hash(one) == hash(other)
    assert len(one.key) == 12
    assert int(one.key, 16) >= 0


@given(specs)
def test_an_address_is_over_plain_json(spec: Spec) -> None:
    plain = content(spec)
    assert json.loads(json.dumps(plain)) == plain
    assert "lr" not in plain["dense"] or plain["dense"]["lr"] != 0.01


@each
def test_profile_is_complete(experiment: Experiment, profile: Profile) -> None:
    variants, seeds = experiment.specs[profile], experiment.seeds[profile]
    assert variants
    assert seeds
    assert len({spec.key for spec in variants}) == len(variants)
    assert len(set(seeds)) == len(seeds)
    assert min(seeds) >= 0
    for spec in variants:
        assert 0 < spec.rho < 1
        hash(spec)
        for attack in spec.attacks:
            names = [name for name, _ in attack.options]
            assert names == sorted(set(names))
            assert set(names) <= OPTIONS[attack.name]


def test_clever_measures_the_models_of_lenet_300_100() -> None:
    for profile in PROFILES:
        ((scores,), (trained,)) = (find(name).specs[profile] for name in ("clever", "lenet-300-100"))
        assert scores.training_key == trained.training_key
        assert scores.rounds == trained.rounds
        assert scores.measured[-1] == scores.rounds, "the last model of the path is measured"


@pytest.mark.parametrize("net", ["lenet-300-100", "lenet-5"])
def test_table_1_begins_with_the_references_of_the_pruned_networks(net: str) -> None:
    name = "activation-sparsity" + "-lenet-5" * (net == "lenet-5")
    for profile in PROFILES[1:]:  # smoke trains as briefly as each network allows
        reference, *regularised = find(name).specs[profile]
        assert reference.training_key == find(net).specs[profile][0].training_key
        assert find(name).seeds[profile] == find(net).seeds[profile]
        strengths = [spec.dense.l1 for spec in (reference, *regularised)]
        assert strengths == sorted(strengths)
        for spec in regularised:
            assert replace(spec.dense, l1=0.0) == reference.dense
            assert (spec.model, spec.data, spec.test_examples) == (
                net,
                reference.data,
                reference.test_examples,
            )


def test_profiles_are_those_that_the_book_promises() -> None:
    assert PROFILES == ("smoke", "laptop", "paper")
    assert all(set(e.specs) == set(e.seeds) for e in CATALOGUE.values())
    assert all(set(e.specs) == set(PROFILES) for e in CATALOGUE.values())
    assert all(name == e.name and e.title for name, e in CATALOGUE.items())


@pytest.mark.parametrize("name", ["linear-binary", "linear-multiclass", "lenet-300-100", "lenet-5"])
def test_paper_profile_is_the_papers_protocol(name: str) -> None:
    """Section 4.1: ten references, 16 rounds at 1/3, four attacks, eps .1, the whole test set of MNIST."""
    experiment = find(name)
    (spec,) = experiment.specs["paper"]
    assert len(experiment.seeds["paper"]) == 10
    assert (spec.rounds, spec.fraction, spec.eps, spec.test_examples, spec.data) == (
        *(16, "1/3", 0.1, None),
        "mnist",
    )
    assert [attack.name for attack in spec.attacks] == list(ATTACKS)
    assert spec.classes == ((1, 7) if name == "linear-binary" else tuple(range(10)))


@pytest.mark.parametrize("name", ["vgg", "resnet-32"])
def test_paper_profile_on_cifar_10(name: str) -> None:
    """Section 4.2: ten references, 16 rounds at 1/3, first and last layer dense; eps as everywhere."""
    (spec,) = find(name).specs["paper"]
    assert len(find(name).seeds["paper"]) == 10
    assert (spec.rounds, spec.fraction, spec.eps, spec.data) == (16, "1/3", 0.1, "cifar-10")
    assert (spec.dense_ends, spec.narrow, spec.test_examples) == (True, 1, None)
    assert [attack.name for attack in spec.attacks] == list(ATTACKS)
    passes = [training.steps * training.batch_size / 50_000 for training in (spec.dense, spec.retrain)]
    assert 0.75 < 16 * passes[1] / passes[0] < 1.25
    (smoke,) = find(name).specs["smoke"]
    assert (smoke.data, smoke.dense_ends) == ("made-images", True)
    assert smoke.one_by_one
    assert not PAPER.one_by_one


def test_smoke_profile_needs_no_download() -> None:
    made = {"mnist-sample", "made-images"}
    assert {spec.data for e in CATALOGUE.values() for spec in e.specs["smoke"]} == made


def test_unknown_experiment_lists_the_known() -> None:
    with pytest.raises(KeyError, match="no experiment 'lenet'; known: linear-binary, linear-multiclass"):
        find("lenet")
