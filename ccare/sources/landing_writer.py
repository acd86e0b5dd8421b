"""Delivery files written aside and renamed, and a marker that tells a complete landing from a broken one.

Layout: ``<landing>/<stream>/<delivery date>/<name>.jsonl``. Everything is first written under
``<landing>/<source>.writing/`` on the same file system; ``publish`` then renames file by file, so a reader
never meets half a file. The marker ``<landing>/_<source>.json`` says *writing* while that goes on and
*complete* after it; it stands outside the stream folders, so no reader takes it for a delivery.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from ccare.errors import UsageError

FOLDER_MODE = 0o700  # landing holds raw user ids
FILE_MODE = 0o600


class LandingWriter:
    """Writes one source's deliveries; every step may be repeated after an interruption."""

    def __init__(self, landing: Path, source: str, parameters: Mapping[str, object]) -> None:
        self.landing = landing
        self.parameters = dict(parameters)
        self._marker = landing / f"_{source}.json"
        self._aside = landing / f"{source}.writing"

    def finished(self) -> dict[str, Any] | None:
        """The results of an earlier complete write with these parameters, or None when there is work to do.

        Raises UsageError when the landing holds (part of) a write with other parameters: mixing the two
        would put simulated rows beside a request for real ones only.
        """
        marker = self._read_marker()
        if marker is None:
            return None
        if marker.get("parameters") != self.parameters:
            raise UsageError(
                f"{self.landing} already holds {marker.get('source')} files written with other parameters "
                f"({_differences(marker.get('parameters', {}), self.parameters)}).",
                remedy="Choose another landing folder, or remove this one together with its lake.",
            )
        if marker.get("state") != "complete" or not self._all_present(marker["files"]):
            return None
        results: dict[str, Any] = marker["results"]
        return results

    def begin(self) -> None:
        """Clear what an interrupted write left aside and mark the landing as being written."""
        _make_folder(self.landing)
        shutil.rmtree(self._aside, ignore_errors=True)
        _make_folder(self._aside)
        self._write_marker({"state": "writing"})

    def path(self, stream: str, delivery_date: date, name: str) -> Path:
        """Where to write one file aside; its delivery folder is made."""
        self.folder(stream, delivery_date)
        return self._aside / stream / delivery_date.isoformat() / name

    def folder(self, stream: str, delivery_date: date) -> None:
        """A delivery folder, which says "delivered" even when it stays empty."""
        (self._aside / stream / delivery_date.isoformat()).mkdir(parents=True, exist_ok=True)

    @property
    def scratch(self) -> Path:
        """A folder for the writer's spill files; it goes when the files are published."""
        return self._aside / "scratch"

    def publish(self) -> dict[str, int]:
        """Rename all files into place, oldest delivery first; returns relative path -> bytes."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        files: dict[str, int] = {}
        for folder in sorted(self._aside.glob("*/*"), key=lambda path: (path.name, path.parent.name)):
            relative = folder.relative_to(self._aside)
            _make_folder(self.landing / relative.parent)
            _make_folder(self.landing / relative)
            for file in sorted(folder.iterdir()):
                file.chmod(FILE_MODE)
                target = relative / file.name
                files[target.as_posix()] = file.stat().st_size
                file.replace(self.landing / target)
        shutil.rmtree(self._aside)
        return files

    def finish(self, files: Mapping[str, int], results: Mapping[str, object]) -> None:
        """Mark the landing complete."""
        self._write_marker({"state": "complete", "results": dict(results), "files": dict(files)})

    def _all_present(self, files: Mapping[str, int]) -> bool:
        paths = ((self.landing / name, size) for name, size in files.items())
        return all(path.is_file() and path.stat().st_size == size for path, size in paths)

    def _read_marker(self) -> dict[str, Any] | None:
        try:
            marker = json.loads(self._marker.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:
            marker = None
        if not isinstance(marker, dict):
            raise UsageError(
                f"{self._marker} is not readable as a marker of this source.",
                remedy="Remove that file and the folders beside it, then run the command again.",
            )
        return marker

    def _write_marker(self, content: Mapping[str, object]) -> None:
        body = {
            "source": self._marker.stem.removeprefix("_"),
            "parameters": self.parameters,
            **content,
        }
        aside = self._marker.with_suffix(".json.new")
        aside.write_text(json.dumps(body, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        aside.chmod(FILE_MODE)
        aside.replace(self._marker)


def _make_folder(path: Path) -> None:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(FOLDER_MODE)  # mkdir's own mode is subject to the umask


def _differences(stored: Mapping[str, object], wanted: Mapping[str, object]) -> str:
    keys = sorted(key for key in {*stored, *wanted} if stored.get(key) != wanted.get(key))
    return ", ".join(f"{key}: {stored.get(key)} there, {wanted.get(key)} asked" for key in keys)
