"""Parquet for batchflow: a sink and a source on folders of files, for whoever reads with DuckDB, Spark or pandas.

arrow                          what is used of pyarrow, with types
shapes  outputs  columns       a JSON schema into column types; results into typed columns, and rows that do not fit
hive                           partitions in paths: `tenant=acme/`
staging  ledger                parts into files that appear whole and once
agreement  sink                files beside those that are there
values  files  source          records, from row groups that are read batch by batch

Factories are named by path, so that an app which uses none of them does not load pyarrow.
"""

from batchflow.plugin import Register, hookimpl


@hookimpl
def register_sinks(register: Register) -> None:
    """Hand over the sink."""
    register("parquet", "batchflow_parquet.sink:parquet")


@hookimpl
def register_sources(register: Register) -> None:
    """Hand over the source."""
    register("parquet", "batchflow_parquet.source:parquet")
