"""The sink against every promise of a sink, and what a folder looks like to somebody who reads it with DuckDB."""

import duckdb
import pytest
from batchflow_parquet.sink import parquet

from batchflow.testing import SinkContract


class TestContract(SinkContract):
    @pytest.fixture
    def make_sink(self, tmp_path):
        return lambda: parquet(path=tmp_path / "lake")

    @pytest.fixture
    def read_back(self, tmp_path):
        async def read():
            if not list((tmp_path / "lake").glob("*.parquet")):
                return []
            return duckdb.sql(
                f"select key, text from '{tmp_path}/lake/**/*.parquet' order by filename, file_row_number"
            ).fetchall()

        return read
