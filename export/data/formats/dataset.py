"""What `data.yaml` says of a YOLO folder: names, landmarks, and which pictures are to learn from.

    path: .                      names: [cat, dog]       names:           kpt_shape: [5, 2]
    train: images/train          names: {0: cat}           0: cat         labels: polygons
    val: [images/a, images/b]                              1: dog         nc: 2
    test: test.txt

What always holds: a picture that both train and val name is kept to judge by, never learned from; what is
named but is not there is refused with its place. Every scalar is read as text, so a class may be called `no`
or `1:1`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from export.data.formats.record import PICTURES, read_text
from export.errors import DataError

FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
NAMES = ("classes.txt", "obj.names")
SPLITS = ("train", "val", "test")
_ADVICE = "write it as names: [first, second]"


@dataclass(frozen=True, slots=True)
class Dataset:
    """Hold what is said of a folder: names, landmarks (how many, numbers of each), pictures -> split."""

    names: tuple[str, ...]
    landmarks: tuple[int, int] | None = None
    polygons: bool = False
    splits: dict[Path, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def find_file(folder: Path) -> Path | None:
    """Return the YAML file of a folder: by its usual names, else the only one that holds names."""
    usual = [folder / name for name in FILES if (folder / name).is_file()]
    if usual:
        return usual[0]
    others = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml") and path.is_file())
    holding = [path for path in others if "names" in _read(path)]
    return holding[0] if len(holding) == 1 else None


def is_dataset(folder: Path) -> bool:
    """Say whether a folder says of itself that it is of this form."""
    return find_file(folder) is not None or any((folder / name).is_file() for name in NAMES)


def read_dataset(folder: Path) -> Dataset:
    """Read what a folder says of itself; raises `DataError`."""
    path = find_file(folder)
    if path:
        return _dataset(folder, path, _read(path))
    for name in NAMES:
        if (folder / name).is_file():
            lines = [line.strip() for line in read_text(folder / name).splitlines()]
            return Dataset(_distinct(folder / name, [line for line in lines if line]))
    raise DataError(f"{folder}: no data.yaml and no classes.txt; write the classes' names there, one a line")


def _read(path: Path) -> dict[str, Any]:
    try:
        said = yaml.load(read_text(path), yaml.BaseLoader)  # every scalar as text
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DataError(f"{path}:{line}: not YAML: {error.problem}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise DataError(f"{path}: not YAML: {str(error).splitlines()[0]}") from None
    return said if isinstance(said, dict) else {}


def _dataset(folder: Path, path: Path, said: dict[str, Any]) -> Dataset:
    names = _names(path, said)
    splits, notes = _splits(folder, path, said)
    kind = said.get("labels", "")
    if kind not in ("", "polygons", "boxes"):
        raise DataError(f"{path}: labels: {kind!r}: write polygons, or leave it out")
    return Dataset(names, _landmarks(path, said), kind == "polygons", splits, notes)


# ── names and landmarks ───────────────────────────────────────────────────────────────────────────


def _names(path: Path, said: dict[str, Any]) -> tuple[str, ...]:
    found = said.get("names")
    if not found:
        raise DataError(f"{path}: no names; {_ADVICE}")
    if isinstance(found, list):
        found = {str(number): name for number, name in enumerate(found)}
    numbers = set(map(str, range(len(found)))) if isinstance(found, dict) else set()
    if not isinstance(found, dict) or set(map(str, found)) != numbers:
        raise DataError(f"{path}: names: not one name for each class number from 0 on; {_ADVICE}")
    if not all(isinstance(name, str) and name.strip() for name in found.values()):
        raise DataError(f"{path}: names: a name is empty or no text; {_ADVICE}")
    names = _distinct(path, [found[str(number)].strip() for number in range(len(found))])
    count = said.get("nc")
    if count is not None and str(count).strip() != str(len(names)):
        raise DataError(
            f"{path}: nc: {count}, but there are {len(names)} names; correct the one or the other"
        )
    return names


def _distinct(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: names: {twice[0]!r} is the name of two classes; give each its own")
    return tuple(names)


def _landmarks(path: Path, said: dict[str, Any]) -> tuple[int, int] | None:
    shape = said.get("kpt_shape")
    if shape is None:
        return None
    numbers = (
        [int(n) for n in shape if isinstance(n, str) and n.isdecimal()] if isinstance(shape, list) else []
    )
    if len(numbers) != 2 or numbers[0] < 1 or numbers[1] not in (2, 3):
        raise DataError(f"{path}: kpt_shape: must be [how many, 2 or 3], as kpt_shape: [17, 3]")
    return numbers[0], numbers[1]


# ── which pictures ────────────────────────────────────────────────────────────────────────────────


def _splits(folder: Path, path: Path, said: dict[str, Any]) -> tuple[dict[Path, str], tuple[str, ...]]:
    """Return picture -> split of what train, val and test name, and what is worth a word."""
    named = {split: said[split] for split in SPLITS if said.get(split)}
    if not {"train", "val"} & set(named):
        return {}, ()
    bases = _bases(folder, path, said)
    if "val" in named:
        named.pop("test", None)  # neither learned from nor judged by; some tools name one that is not there
    found = {split: _of_split(path, bases, split, value) for split, value in named.items()}
    if "test" in found:
        found["val"] = found.pop("test")
    return _apart(path, found)


def _of_split(path: Path, bases: list[Path], split: str, value: Any) -> set[Path]:
    """Return the pictures of one key; raises `DataError` where it names none."""
    entries = _entries(path, split, value)
    found = {picture for entry in entries for picture in _pictures(path, bases, split, entry)}
    if not found:
        raise DataError(
            f"{path}: {split}: {', '.join(entries)}: holds no picture; correct it, or take it out"
        )
    return found


def _apart(path: Path, found: dict[str, set[Path]]) -> tuple[dict[Path, str], tuple[str, ...]]:
    """Give each picture one split: never learned from where it is kept to judge by."""
    train = found.get("train", set())
    kept = found.get("val", set())
    both = train & kept
    splits = dict.fromkeys(train, "train") | dict.fromkeys(kept, "val")
    if both and both == train:
        note = f"{path}: train names no picture that val does not; what is kept to judge by is chosen here"
        return dict.fromkeys(splits, ""), (note,)
    if both:
        return splits, (f"{path}: {len(both)} pictures are in train and in val; they are only judged by",)
    return splits, ()


def _entries(path: Path, split: str, value: Any) -> list[str]:
    entries = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, str) and entry.strip() for entry in entries):
        raise DataError(f"{path}: {split}: must be a folder, a list of folders, or a .txt of pictures")
    return [entry.strip() for entry in entries]


def _bases(folder: Path, path: Path, said: dict[str, Any]) -> list[Path]:
    """Return where names may begin: `path`, where it is there, and the folder itself."""
    root = said.get("path")
    bases = [path.parent / root] if isinstance(root, str) and root else []
    return [base for base in (*bases, path.parent, folder) if base.is_dir()]


def _pictures(path: Path, bases: list[Path], split: str, entry: str) -> Iterator[Path]:
    """Yield the pictures of a folder or of a list; raises `DataError` with the place."""
    plain = entry.replace("\\", "/")
    bare = plain
    while bare.startswith("../"):  # some tools write ../train/images beside train/
        bare = bare[3:]
    places = [base / name for base in bases for name in (plain, bare)]
    place = next((place for place in places if place.exists()), None)
    if place is None:
        raise DataError(f"{path}: {split}: {entry}: no such folder or list; correct it, or take the key out")
    if place.is_dir():
        yield from (_plain(p) for p in sorted(place.rglob("*")) if p.suffix.lower() in PICTURES)
        return
    if place.suffix != ".txt":
        raise DataError(f"{path}: {split}: {entry}: neither a folder nor a .txt that lists pictures")
    for number, line in enumerate(read_text(place).splitlines(), 1):
        if line.strip():
            yield _listed(f"{place}:{number}", [place.parent, *bases], line.strip())


def _listed(where: str, bases: list[Path], name: str) -> Path:
    """Return a picture of a list, however the folder was moved since."""
    plain = name.replace("\\", "/")
    parts = Path(plain).parts
    tails = [Path(*parts[at:]) for at in range(len(parts)) if parts[at] not in ("/", ".", "..")]
    tries = [base / tail for tail in (Path(plain), *tails) for base in bases]
    found = next((place for place in tries if place.is_file()), None)
    if found is None:
        raise DataError(f"{where}: {name}: no such picture; correct the list, or put the picture there")
    return _plain(found)


def _plain(path: Path) -> Path:
    return path.resolve()
