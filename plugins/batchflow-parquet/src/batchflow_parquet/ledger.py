"""What a sink remembers of its parts, beside its files: so that a part is in the dataset whole, once, or not at all.

    lake/RUN.BATCH.SINK.0.parquet                        what readers read; with partitions `lake/tenant=acme/RUN....parquet`
    lake/_batchflow/RUN/SINK/BATCH....json               the record of a part: its files, its rows, and the rows it refused
    lake/_batchflow/RUN/SINK/BATCH....TOKEN/0, 1, ...    files that are being written, or on their way

A part may be many files, which cannot be moved in one step. So its files are written in a staging folder and made durable;
then the record is, by one rename: from there on the part counts as written, and whoever opens the sink next moves what
is not moved yet. Before the record is there nobody has seen a row of the part, and its staging folder is thrown away.

A part that comes again (its receipt was lost, or somebody replays the run) is known by its record. If all its files are in
place nothing is written; else it is written anew, and files that it has no more are removed.

Records stay: they are small, one a part, and they say where a dataset's rows came from. Names that begin with a low line are
passed over by Spark, Hive, Athena, Trino and pyarrow; DuckDB looks into every folder, so nothing in there ends in `.parquet`.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

import msgspec

from batchflow.lines import spelled, sync_folder
from batchflow.plugin import Refusal
from batchflow_parquet.staging import Staged

OWN = "_batchflow"
SUCCESS = "_SUCCESS"


class Filed(msgspec.Struct, frozen=True):
    """A file of the dataset: where it is, and what it is called until it is there."""

    path: str
    staged: str
    rows: int
    bytes: int


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A part that is written."""

    part: str
    staging: str
    rows: int
    files: Sequence[Filed] = ()
    refused: Sequence[Refusal] = ()
    stale: Sequence[str] = ()
    """Files that an earlier writing of this part made, and this one did not."""


class Ledger:
    """The parts of one run and one sink in a dataset. Every method blocks."""

    def __init__(self, dataset: Path, run: str, sink: str) -> None:
        self._dataset = dataset
        self._run = run
        self.folder = dataset / OWN / spelled([run]) / spelled([sink])

    def begin(self, part: str) -> Path:
        """Names a staging folder for a part."""
        return self.folder / f"{self._word(part)}.{token_hex(4)}"

    def record(self, part: str, staging: Path, staged: Sequence[Staged], refused: Sequence[Refusal]) -> Record:
        """Writes down what became of a part; nothing is done yet."""
        files = [
            Filed(self._path(part, one.folder, one.number), one.name, one.rows, one.bytes)
            for one in sorted(staged, key=lambda one: (one.folder, one.number))
        ]
        old, new = self.known(part), {file.path for file in files}
        return Record(
            part=part,
            staging=staging.name,
            rows=sum(file.rows for file in files),
            files=files,
            refused=refused,
            stale=[path for path in (*(file.path for file in old.files), *old.stale) if path not in new] if old else (),
        )

    def keep(self, record: Record) -> None:
        """Makes a part count as written."""
        place = self._record(record.part)
        draft = place.with_name(f"{place.name}.new")
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(record))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(place)
        sync_folder(self.folder)

    def known(self, part: str) -> Record | None:
        """Finds the record of a part."""
        with suppress(FileNotFoundError):
            return msgspec.json.decode(self._record(part).read_bytes(), type=Record)
        return None

    def records(self) -> Iterator[Record]:
        """Gives every record, in no order that means anything."""
        with suppress(FileNotFoundError):
            for file in sorted(self.folder.glob("*.json")):
                yield msgspec.json.decode(file.read_bytes(), type=Record)

    def missing(self, record: Record) -> str | None:
        """Names a file of a part that is not there, or is not as it was."""
        return next((file.path for file in record.files if not self._is_there(file)), None)

    def recover(self) -> None:
        """Finishes what a dead process had begun: files of parts that count are moved, others are thrown away."""
        if not self.folder.is_dir():
            return
        begun = {entry.name for entry in self.folder.iterdir() if entry.is_dir()}
        for record in self.records():
            if record.staging in begun:
                self.put(record)
                begun.remove(record.staging)
        for name in begun:
            shutil.rmtree(self.folder / name)
        for draft in self.folder.glob("*.json.new"):
            draft.unlink()

    def throw_away(self, staging: Path) -> None:
        """Removes the files of a part that does not count."""
        shutil.rmtree(staging, ignore_errors=True)

    def put(self, record: Record) -> None:
        """Moves the files of a part that counts to where they belong; those that are there already are left."""
        staging = self.folder / record.staging
        touched: set[Path] = set()
        for file in record.files:
            with suppress(FileNotFoundError):  # then it was moved before
                place = self._dataset / file.path
                touched |= _made(place.parent)
                (staging / file.staged).replace(place)
                touched.add(place.parent)
        for path in record.stale:
            (self._dataset / path).unlink(missing_ok=True)
            touched.add((self._dataset / path).parent)
        for folder in touched:
            with suppress(FileNotFoundError):
                sync_folder(folder)
        shutil.rmtree(staging, ignore_errors=True)

    def _is_there(self, file: Filed) -> bool:
        try:
            return (self._dataset / file.path).stat().st_size == file.bytes
        except FileNotFoundError:
            return False

    def _record(self, part: str) -> Path:
        return self.folder / f"{self._word(part)}.json"

    def _word(self, part: str) -> str:
        own = part.startswith(f"{self._run}/")
        # What the engine calls a part begins with its run; any other name is set apart from those that do.
        return spelled(part.split("/") if own else [self._run, "=", part])

    def _path(self, part: str, folder: str, number: int) -> str:
        again = f"+{number}" if number else ""
        return f"{folder}{self._word(part)}{again}.parquet"


def _made(folder: Path) -> set[Path]:
    """Makes a folder, and names those that hold a new name then."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return {one.parent for one in missing}
