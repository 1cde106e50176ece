"""One load by dlt, told in JSON as the only argument. Written for speed: Arrow or finished files as far as dlt lets them through.

  pipeline, workdir       name and state of the dlt pipeline
  source                  {"kind": "postgres", "url", "table", "backend"} or {"kind": "csv" | "parquet" | "jsonl", "files"}
  columns                 [{"name", "type", "nullable"}], PostgreSQL types; typed columns of the target
  target                  {"url", "schema", "table"}
  mode                    "create" | "append" | "upsert"
  key                     columns of the primary key; made after a load of mode "create"
  rowFunction             true: every row goes through a Python function, as dict
"""

import json
import os
import sys

job = json.loads(sys.argv[1])
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("RUNTIME__LOG_LEVEL", "ERROR")
os.environ.setdefault("DESTINATION__POSTGRES__CREATE_INDEXES", "false")
os.environ.setdefault("NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID", "false")
os.environ.setdefault("DATA_WRITER__DISABLE_COMPRESSION", "true")
os.environ.setdefault("DATA_WRITER__FILE_MAX_ITEMS", "500000")

import dlt  # noqa: E402
from dlt.destinations import postgres  # noqa: E402

source, target, key = job["source"], job["target"], job["key"]

DLT_TYPES = {
    "bigint": {"data_type": "bigint"},
    "int": {"data_type": "bigint", "precision": 32},
    "text": {"data_type": "text"},
    "date": {"data_type": "date"},
    "numeric(12,2)": {"data_type": "decimal", "precision": 12, "scale": 2},
    "timestamptz": {"data_type": "timestamp", "timezone": True},
}
columns = {each["name"]: {**DLT_TYPES[each["type"]], "nullable": each["nullable"]} for each in job["columns"]}
names = [each["name"] for each in job["columns"]]

disposition = {
    "create": "append",
    "append": "append",
    "upsert": {"disposition": "merge", "strategy": "upsert"},
}[job["mode"]]
hints = {"name": target["table"], "write_disposition": disposition, "primary_key": key}


def clean(row):
    """The same function as the bench's pipeline."""
    if row["email"] is not None:
        row["email"] = row["email"].strip().lower()
    if row["note"] is not None:
        row["note"] = row["note"].strip()
    return row


def from_postgres():
    from dlt.sources.sql_database import sql_table

    backend = "sqlalchemy" if job.get("rowFunction") else source["backend"]
    url = source["url"].replace("postgresql://", "postgresql+psycopg2://", 1)
    table = sql_table(
        credentials=url,
        table=source["table"],
        chunk_size=100_000,
        backend=backend,
        backend_kwargs={"conn": source["url"], "return_type": "arrow_stream", "batch_size": 100_000} if backend == "connectorx" else None,
        reflection_level="full_with_precision",
    )
    if job.get("rowFunction"):
        table.add_map(clean)
    return table


def from_csv():
    """Finished CSV is copied as it is."""
    for path in source["files"]:
        yield dlt.mark.with_file_import(path, "csv")


def from_parquet():
    import pyarrow.parquet

    for path in source["files"]:
        yield dlt.mark.with_file_import(path, "parquet", pyarrow.parquet.read_metadata(path).num_rows)


def from_jsonl():
    """Typed by pyarrow while it reads."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.json as pj

    types = {"bigint": pa.int64(), "int": pa.int32(), "text": pa.string(), "date": pa.string(), "numeric(12,2)": pa.decimal128(12, 2), "timestamptz": pa.string()}
    schema = pa.schema([pa.field(each["name"], types[each["type"]]) for each in job["columns"]])
    for path in source["files"]:
        reader = pj.open_json(
            path,
            read_options=pj.ReadOptions(block_size=16 * 1024 * 1024),
            parse_options=pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
        )
        for batch in reader:
            table = pa.Table.from_batches([batch]).select(names)
            for at, each in enumerate(job["columns"]):
                if each["type"] == "date":
                    table = table.set_column(at, each["name"], pc.cast(table[each["name"]], pa.date32()))
                if each["type"] == "timestamptz":
                    table = table.set_column(at, each["name"], pc.cast(table[each["name"]], pa.timestamp("us", "UTC")))
            yield table


if source["kind"] == "postgres":
    resource = from_postgres()
    resource.apply_hints(table_name=target["table"], write_disposition=disposition, primary_key=key)
else:
    read = {"csv": from_csv, "parquet": from_parquet, "jsonl": from_jsonl}[source["kind"]]
    resource = dlt.resource(read, columns=columns, **hints)

pipeline = dlt.pipeline(
    pipeline_name=job["pipeline"],
    pipelines_dir=job["workdir"],
    destination=postgres(credentials=target["url"]),
    dataset_name=target["schema"],
)
file_format = job.get("format")
pipeline.run(resource, loader_file_format=file_format) if file_format else pipeline.run(resource)

if job["mode"] == "create" and key:
    with pipeline.sql_client() as client:
        client.execute_sql(f'ALTER TABLE {client.make_qualified_table_name(target["table"])} ADD PRIMARY KEY ({", ".join(key)})')
