"""Seeds over the machines of a cluster, and stores that are no local folder: the rows of one machine."""

import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from sparse_robust.__main__ import main
from sparse_robust.experiments import Attack, Experiment, Row, Spec, Store, StoreError, run, run_on_cluster
from sparse_robust.experiments.cluster import ClusterError, answers, chosen_device
from sparse_robust.experiments.files import place
from sparse_robust.studies.catalogue import find
from sparse_robust.training import Training

EXTRA = "in the extra, pip install '.[cluster]', which is no part of the pinned environment"
BRIEF = Training(steps=40, batch_size=16, lr=0.1)
SPEC = Spec(
    model="linear",
    data="mnist-sample",
    classes=(1, 7),
    dense=BRIEF,
    retrain=BRIEF,
    rounds=3,
    fraction="1/3",
    attacks=(Attack("FGS"), Attack("DeepFool")),
    test_examples=20,
)
SEEDS = (0, 1, 2, 3)
EXPERIMENT = Experiment("spread", "for tests", {"smoke": (SPEC,)}, {"smoke": SEEDS})


def numbers(rows: list[Row]) -> dict[Any, Any]:
    """What was measured, without where and when."""
    return {row.identity: (row.value, row.n, row.stderr, row.sparsity) for row in rows}


def test_without_the_extra_the_remedy_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for package in ("ray", "upath"):
        monkeypatch.setitem(sys.modules, package, None)  # which cannot be imported
    assert main(["run", "linear-binary", "--profile", "smoke", "--ray", "local"]) == 2
    assert capsys.readouterr().err == (
        "sparse_robust run: Ray is not installed here: pip install '.[cluster]'\n"
    )
    with pytest.raises(StoreError, match=r"s3://bucket: nothing is installed .* pip install '\.\[cluster\]'"):
        place("s3://bucket")
    assert place(str(tmp_path)) == tmp_path


def test_who_spreads_what_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "linear-binary", "--ray", "local", "--processes", "2"]) == 2
    assert "give --processes or --ray, not both" in capsys.readouterr().err


def test_a_cluster_chooses_gpus_itself() -> None:
    with pytest.raises(ValueError, match="the device is cpu, cuda or auto, got 'cuda:1'"):
        run_on_cluster(EXPERIMENT, "smoke", "local", device="cuda:1")
    assert [chosen_device(device, 8) for device in ("cpu", "cuda", "auto")] == ["cpu", "cuda", "cuda"]
    assert [chosen_device(device, 0) for device in ("cpu", "auto")] == ["cpu", "cpu"]
    with pytest.raises(ValueError, match="the cluster has no GPU"):
        chosen_device("cuda", 0)


def test_a_large_network_needs_a_gpu_of_its_own() -> None:
    assert find("vgg").needs == find("vgg-controls").needs
    assert (find("vgg").needs.gpus, find("lenet-5").needs.gpus) == (1, 1 / 8)


def test_an_address_at_which_nobody_answers_is_said_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(ClusterError, match=f"no cluster of Ray answers at {address}: Connection refused"):
            answers(address)  # bound, but nobody listens
        free.listen()
        answers(address)
    for name in ("head", "ray://head:6379", "head:x"):
        with pytest.raises(ClusterError, match=f"{name} is not like auto, local or host:6379"):
            answers(name)


@pytest.fixture
def machines() -> Iterator[Any]:
    """Two nodes of one core each on this machine."""
    pytest.importorskip("ray", reason=f"Ray is {EXTRA}")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    yield cluster
    cluster.shutdown()


def test_a_node_that_is_killed_midway_changes_no_number(machines: Any, tmp_path: Path) -> None:
    """Once each node has stored a row of a seed; what the killed one held, the other goes on with."""
    alone, spread = (Store(tmp_path / name / "results", tmp_path / name / "cache") for name in ("a", "b"))
    expected = run(EXPERIMENT, "smoke", device="cpu", store=alone, quiet=True)
    (victim,) = machines.worker_nodes
    rows_then: list[int] = []

    def kill() -> None:
        while len({row.seed for row in spread.rows("spread", "smoke")}) < 2:
            time.sleep(0.01)
        machines.remove_node(victim, allow_graceful=False)
        rows_then.append(len(spread.rows("spread", "smoke")))

    killer = Thread(target=kill)
    killer.start()
    found = run_on_cluster(EXPERIMENT, "smoke", machines.address, device="cpu", store=spread)
    killer.join()
    assert rows_then[0] < len(expected), "nothing was left to lose"
    assert numbers(found) == numbers(expected)
    assert numbers(spread.rows("spread", "smoke")) == numbers(expected)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of an S3 server in this process."""
    for package in ("upath", "s3fs"):
        pytest.importorskip(package, reason=f"{package} is {EXTRA}")
    server_module = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    server = server_module.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir(f"bucket-{port}")
    yield f"s3://bucket-{port}/study"
    server.stop()


def test_rows_and_checkpoints_in_a_store_of_objects(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brief = replace(SPEC, dense=replace(BRIEF, steps=3), retrain=replace(BRIEF, steps=2), attacks=())
    experiment = replace(EXPERIMENT, specs={"smoke": (brief,)})

    def found(store: Store) -> dict[Any, Any]:
        return numbers(
            run(experiment, "smoke", device="cpu", store=store, seeds=[0], quiet=True, keep_every=0)
        )

    expected = found(Store(tmp_path / "results", tmp_path / "cache"))
    monkeypatch.setenv("SPARSE_ROBUST_RESULTS", f"{bucket}/results")
    monkeypatch.setenv("SPARSE_ROBUST_CACHE", f"{bucket}/cache")
    store = Store.default()
    assert found(store) == expected
    names = {path.name for path in store.cache.rglob("*.safetensors")}
    assert names == {f"round-{round_}.safetensors" for round_ in range(SPEC.rounds + 1)}
    store.rows_path("spread", "smoke").unlink()
    monkeypatch.setattr("sparse_robust.experiments.runner.advance", None)  # checkpoints serve
    assert found(store) == expected


def test_a_bucket_that_is_not_there_is_one_clear_error(bucket: str) -> None:
    store = Store(place("s3://nobody/results"), place("s3://nobody/cache"))
    with pytest.raises(StoreError, match=r"s3://nobody/results: \.writable cannot be stored there"):
        store.prepare()
