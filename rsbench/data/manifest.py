"""The small JSON files of a prepared dataset, read without NumPy."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from rsbench import reading
from rsbench.errors import NotPrepared, UserError
from rsbench.files import regular, write_atomically
from rsbench.specs import DatasetSpec, ProtocolSpec, to_jsonable

SCHEMA: Final = "rsbench.store/1"
MANIFEST: Final = "manifest.json"
SAMPLES: Final = "samples.json"
IMAGES: Final = "images.npy"
COMPLETE: Final = "complete"
LARGEST_MANIFEST: Final = 256 << 20  # bytes: a hash for each block of images
CHECKED: Final = "checked.json"  # what was found whole, and in which state; may be deleted at any time


def store_path(root: Path, spec: DatasetSpec) -> Path:
    """Folder of a dataset's prepared arrays; of data at places it is another for each place, and where only their name
    is known, that of those prepared last."""
    path = root / "prepared" / f"{spec.name.replace(':', '-')}-{spec.version}"
    if spec.place:
        what = json.dumps([spec.place, to_jsonable(spec.settings)], sort_keys=True)
        return path.with_name(f"{path.name}-{hashlib.sha256(what.encode()).hexdigest()[:8]}")
    return max(namesakes(root, spec), key=lambda store: (store / COMPLETE).stat().st_mtime_ns, default=path)


def namesakes(root: Path, spec: DatasetSpec) -> list[Path]:
    """Folders of the finished preparations of data at places that have the name of *spec*."""
    if not spec.reads:
        return []
    pattern = f"{spec.name.replace(':', '-')}-{spec.version}-{'[0-9a-f]' * 8}"
    return sorted(store for store in (root / "prepared").glob(pattern) if is_complete(store))


def is_complete(path: Path) -> bool:
    """Whether *path* holds a finished preparation: the marker is written last and names the fingerprint."""
    try:
        return regular(path / COMPLETE, reading.LARGEST_NOTE).read_text().split()[0] == read(path)["fingerprint"]
    except (OSError, UserError, ValueError, LookupError):
        return False


def read(path: Path) -> dict[str, Any]:
    """Return the manifest at *path*.

    Raises:
        UserError: it cannot be read, or is no manifest.
    """
    where = f"The manifest {path / MANIFEST}"
    found = reading.json_document(reading.content_of(path / MANIFEST, where, LARGEST_MANIFEST), where)
    if not isinstance(found, dict):
        raise UserError(f"{where} is no object; prepare the data again with --force.")
    return found


def require(root: Path, spec: DatasetSpec) -> dict[str, Any]:
    """Return the manifest of a prepared dataset.

    Raises:
        NotPrepared: it is not there; the sentence says what to type.
    """
    path = store_path(root, spec)
    if not is_complete(path) and spec.reads:
        raise NotPrepared(not_at_hand(root, spec))
    if not is_complete(path):
        fetch = f"rsbench data fetch {spec.name}, or " if spec.files else ""
        raise NotPrepared(
            f"Dataset '{spec.name}' is not prepared under {root}: type {fetch}"
            f"rsbench data prepare {spec.name} --source PATH with the folder of its files."
        )
    return read(path)


def not_at_hand(root: Path, spec: DatasetSpec) -> str:
    """Return the sentence on data at a place that are not prepared."""
    family, _, member = spec.name.partition(":")
    if spec.place:
        return f"'{spec.name}' is not prepared under {root}: type rsbench data prepare '{family}:{spec.place}'."
    return (
        f"There is no file or folder '{member}' here, nor data prepared under the name '{spec.name}' in {root}: give "
        f"its path, as in {family}:./{member}."
    )


def split_summary(store: Path, fingerprint: str, protocol: ProtocolSpec) -> dict[str, Any] | None:
    """Return :func:`kept_split` if its files are as they were when the split was computed or checked, else ``None``."""
    with suppress(OSError):
        if is_noted(store, protocol.name, split_state(store, protocol)):
            return kept_split(store, fingerprint, protocol)
    return None


def kept_split(store: Path, fingerprint: str, protocol: ProtocolSpec) -> dict[str, Any] | None:
    """Return ``{"sizes", "sha256"}`` of a split that is kept of the same data and protocol, unchecked; or ``None``."""
    found = reading.kept(split_path(store, protocol))
    return found if isinstance(found, dict) and found.get("key") == split_key(fingerprint, protocol) else None


def split_path(store: Path, protocol: ProtocolSpec) -> Path:
    """File in which a protocol's split is kept beside the store; its sample numbers are in the ``.npy`` of the name."""
    return store / "splits" / f"{protocol.name}.json"


def split_key(fingerprint: str, protocol: ProtocolSpec) -> list[Any]:
    """What a kept split must agree with to be used."""
    return [fingerprint, protocol.name, protocol.version, protocol.split, to_jsonable(protocol.split_options)]


def split_state(store: Path, protocol: ProtocolSpec) -> str:
    """Return SHA-256 of a kept split's two files.

    Raises:
        OSError: there are none.
    """
    path = split_path(store, protocol)
    parts = regular(path, reading.LARGEST_NOTE), regular(path.with_suffix(".npy"))
    return hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()


def is_noted(store: Path, subject: str, state: Any) -> bool:
    """Whether *subject* of a prepared dataset has been found whole in this state."""
    return bool(_noted(store).get(subject) == state)


def note(store: Path, subject: str, state: Any) -> None:
    """Remember that *subject* has been found whole in this state; where nothing can be written, it is checked again."""
    with suppress(OSError):
        write_atomically(store / CHECKED, json.dumps(_noted(store) | {subject: state}, indent=1))


def _noted(store: Path) -> dict[str, Any]:
    found = reading.kept(store / CHECKED)
    return found if isinstance(found, dict) else {}
