"""What an experiment is: variants of a protocol and their seeds, by profile."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from .spec import Spec

Profile = Literal["smoke", "laptop", "paper"]
PROFILES: tuple[Profile, ...] = get_args(Profile)


@dataclass(frozen=True)
class Needs:
    """What one seed takes of a machine.

    Attributes:
        cores: of its CPU.
        gpus: of its GPUs, where there are any; a fraction where several seeds fit on one.
    """

    cores: int = 1
    gpus: float = 0.125


@dataclass(frozen=True)
class Experiment:
    """One figure, table or supporting study.

    Attributes:
        name: as the command line and the result files spell it.
        title: what it is, in a line.
        specs: for each profile, the variants to run; most experiments have one. What no laptop can do has no
            profile of that name.
        seeds: for each profile, the default seeds.
        needs: of one seed, where seeds are spread over machines.
    """

    name: str
    title: str
    specs: Mapping[Profile, tuple[Spec, ...]]
    seeds: Mapping[Profile, tuple[int, ...]]
    needs: Needs = Needs()

    def variants(self, profile: Profile) -> tuple[Spec, ...]:
        """The variants of a profile.

        Raises:
            KeyError: if it has no such profile; the message lists those that it has.
        """
        if profile not in self.specs:
            raise KeyError(f"{self.name}: no profile {profile!r}; known: {', '.join(self.specs)}")
        return self.specs[profile]


def find_profile(name: str) -> Profile:
    """The profile called ``name``.

    Raises:
        ValueError: if there is none; the message lists the known names.
    """
    for profile in PROFILES:
        if name == profile:
            return profile
    raise ValueError(f"unknown profile {name!r}; known: {', '.join(PROFILES)}, and published for stored rows")
