"""How long experiments take, so that `make reproduce` can say it before it begins.

Seconds are of the processor, of this process and of those that it waited for, so that they mean the same on
a machine that has other things to do.
"""

import json
import resource
from pathlib import Path

FILE = Path("book", "reproduce.json")
"""Below the repository's root: seconds by profile and experiment; where they were measured."""


def processor_seconds() -> float:
    """What this process and its finished children have used so far."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def read(root: Path) -> dict[str, dict[str, float]]:
    """Seconds by profile and experiment, as far as they are known."""
    file = root / FILE
    try:
        return {
            profile: {name: float(seconds) for name, seconds in times.items()}
            for profile, times in json.loads(file.read_text(encoding="utf-8")).items()
        }
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError) as broken:
        raise ValueError(f"{file} is not what `reproduce --record` wrote: {broken}; restore it") from broken


def record(root: Path, profile: str, name: str, seconds: float) -> None:
    """Remember how long an experiment took."""
    times = read(root)
    times.setdefault(profile, {})[name] = round(seconds, 1)
    ordered = {of: dict(sorted(times[of].items())) for of in sorted(times)}
    (root / FILE).write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
