"""Other libraries of attacks: an environment of their own, and how each of their attacks is called.

They are never installed beside the package. A folder in the user's cache holds a virtual environment with
them alone, which borrows everything else, PyTorch first, from the environment that runs this: so all compute
with the same PyTorch, and nothing that the peers need can change what the book needs.
"""

import hashlib
import math
import site
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor, nn

from sparse_robust.experiments.files import write_atomically
from sparse_robust.experiments.store import cache_folder

PINS = (
    "adv-lib==0.2.8",
    "foolbox==3.3.4",
    "torchattacks==3.5.1",
    "adversarial-robustness-toolbox==1.20.1",
)
"""The peers."""

NEEDED = (
    *("visdom==0.2.4", "websocket-client==1.9.2", "tornado==6.6.1", "jsonpatch==1.48", "jsonpointer==3.12"),
    *("eagerpy==0.30.0", "GitPython==3.2.1", "gitdb==4.0.12", "smmap==5.0.3"),
    *("requests==2.34.2", "urllib3==2.8.0", "idna==3.20", "charset-normalizer==3.5.3", "certifi"),
    *("scikit-learn==1.9.1", "joblib==1.6.0", "threadpoolctl==3.8.0", "narwhals==2.29.0", "six==1.17.0"),
    *("setuptools==84.2.1", "cloudpickle==3.1.3"),
)
"""What the peers import, and the package does not: installed by name, without what they in turn ask for, as
some ask for an older PyTorch."""

Attack = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""From a model [N, D] -> [N, K], inputs in [0, 1] and classes to what the attack found, [N, D]."""


class PeersError(RuntimeError):
    """The peers could not be installed."""


def peers_python() -> Path:
    """The interpreter of the peers' environment, which is made unless it is there.

    Raises:
        PeersError: if a package cannot be installed; says which folder and what pip said.
    """
    pins = "\n".join([*PINS, *NEEDED, sys.version])
    folder = cache_folder() / f"peers-{hashlib.sha256(pins.encode()).hexdigest()[:12]}"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done = folder / "pins.txt"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not done.exists():
            venv.create(folder, clear=True, with_pip=True)
            command = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", *PINS, *NEEDED]
            installed = subprocess.run(command, capture_output=True, text=True, check=False)
            if installed.returncode:
                raise PeersError(
                    f"the other libraries could not be installed in {folder}; pip says:\n"
                    f"{installed.stderr.strip()}\nCheck the connection and run it again."
                )
            _borrow(folder)
            write_atomically(done, pins.encode())
    return python


def _borrow(folder: Path) -> None:
    """Let the environment see the packages of this one, behind its own."""
    own = Path(__file__).resolve().parents[2]
    shared = [str(own), sysconfig.get_path("purelib"), *site.getsitepackages()]
    scheme = {"base": str(folder), "platbase": str(folder)}
    target = Path(sysconfig.get_path("purelib", "venv", vars=scheme))
    (target / "sparse-robust.pth").write_text("\n".join(dict.fromkeys(shared)) + "\n")


def adversarial_library(name: str, /, **options: Any) -> Attack:
    """An attack of adversarial-library, by its name there."""

    def run(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        from adv_lib import attacks

        x_adv: Tensor = getattr(attacks, name)(model, x, y, **options)
        return x_adv

    return run


def foolbox(name: str, /, bounds: tuple[float, float] = (0.0, 1.0), **options: Any) -> Attack:
    """A minimal-norm attack of foolbox, by the name of its class."""

    def run(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        from foolbox import PyTorchModel, attacks

        attack = getattr(attacks, name)(**options)
        x_adv: Tensor = attack(PyTorchModel(model, bounds=bounds), x, y, epsilons=None)[1]
        return x_adv

    return run


def torchattacks(name: str, /, **options: Any) -> Attack:
    """An attack of torchattacks, by the name of its class; it reads images of three axes."""

    def run(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        import torchattacks as library

        images = x.unflatten(1, (1, 1, -1))
        x_adv: Tensor = getattr(library, name)(nn.Sequential(nn.Flatten(), model), **options)(images, y)
        return x_adv.flatten(1)

    return run


def toolbox(name: str, /, *, boxed: bool = True, **options: Any) -> Attack:
    """An attack of the Adversarial Robustness Toolbox, by the name of its class."""

    def run(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        from art.attacks import evasion

        attack = getattr(evasion, name)(art_classifier(model, x, boxed=boxed), verbose=False, **options)
        return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))

    return run


def art_classifier(model: nn.Module, x: Tensor, *, boxed: bool = True) -> Any:
    """The model as the Adversarial Robustness Toolbox wants it."""
    from art.estimators.classification import PyTorchClassifier

    with torch.no_grad():
        classes = model(x[:1]).shape[-1]
    clip = (0.0, 1.0) if boxed else None
    return PyTorchClassifier(
        model, nn.CrossEntropyLoss(), x.shape[1:], classes, clip_values=clip, device_type="cpu"
    )


def art_clever(batches: int, samples: int, radius: float) -> Attack:
    """CLEVER of the Adversarial Robustness Toolbox: scores [N], not points."""

    def run(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        from art.metrics import clever_u

        classifier = art_classifier(model, x)
        scores = [
            clever_u(classifier, image.numpy(), batches, samples, radius, 2, verbose=False) for image in x
        ]
        return torch.tensor(scores)

    return run


def peers(eps: float) -> Mapping[str, Mapping[str, Attack]]:
    """By task and library, each with the options that make them comparable."""
    cw: dict[str, Any] = {"binary_search_steps": 5, "initial_const": 1.0, "abort_early": False}
    wide = (-1e3, 1e3)
    return {
        "DeepFool in the box": {
            "adversarial-library": adversarial_library("df", steps=50),
            "adversarial-library, SuperDeepFool": adversarial_library("sdf"),
            "foolbox": foolbox("L2DeepFoolAttack", steps=50, candidates=10),
            "torchattacks": torchattacks("DeepFool", steps=50),
            "toolbox": toolbox("DeepFool", max_iter=50, epsilon=0.02, batch_size=100),
        },
        "DeepFool": {
            "foolbox": foolbox("L2DeepFoolAttack", wide, steps=50, candidates=10),
            "toolbox": toolbox("DeepFool", boxed=False, max_iter=50, epsilon=0.02, batch_size=100),
        },
        "minimal norm": {
            "adversarial-library, DDN 100": adversarial_library("ddn", steps=100),
            "foolbox, DDN 100": foolbox("DDNAttack", steps=100),
        },
        "C&W, 100 x 5": {
            "adversarial-library": adversarial_library(
                "carlini_wagner_l2", max_iterations=100, learning_rate=0.1, **cw
            ),
            "foolbox": foolbox("L2CarliniWagnerAttack", steps=100, stepsize=0.1, **cw),
        },
        "PGD 40": {
            "adversarial-library": adversarial_library(
                "pgd_linf", ε=eps, steps=40, random_init=False, absolute_step_size=2.5 * eps / 40
            ),
            "torchattacks": torchattacks("PGD", eps=eps, alpha=2.5 * eps / 40, steps=40, random_start=False),
        },
        "APGD 100": {
            "adversarial-library": adversarial_library(
                "apgd", eps=eps, norm=math.inf, n_iter=100, use_rs=False
            ),
            "torchattacks": torchattacks("APGD", eps=eps, steps=100, loss="dlr"),
        },
    }
