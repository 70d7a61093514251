"""The source against every promise of a source; and what only Parquet has: types, row groups, partitions in paths."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from batchflow_parquet.source import parquet

from batchflow.testing import SourceContract

TEXTS = pa.schema([("id", pa.string()), ("text", pa.string())])


class InFile:
    def __init__(self, path):
        self.path = path

    def fill(self, records):
        pq.write_table(pa.Table.from_pylist(list(records), TEXTS), self.path, row_group_size=700)

    def spoil(self, records):
        spoilt = []
        for number, record in enumerate(records):
            spoilt += [record, {"id": None, "text": "nobody"}] if number % 7 == 0 else [record]
        self.fill(spoilt)
        return len(spoilt) - len(records)

    def source(self):
        return parquet(path=self.path, key="id")

    def remove(self):
        self.path.unlink()


class TestContract(SourceContract):
    @pytest.fixture
    def place(self, tmp_path):
        return InFile(tmp_path / "in.parquet")
