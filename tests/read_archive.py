"""Reads an archive with DuckDB and with pyarrow, and compares every column of every row with the database.

`read_archive.py FOLDER ROWS`: ROWS holds the rows of the database, one JSON object per line, ordered by id. The script
prints the number of rows that agree, or the first difference.
"""

import datetime
import hashlib
import json
import pathlib
import re
import sys

import duckdb
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet

UTC_MICROS = pa.timestamp("us", tz="UTC")
SCHEMA = [
    ("id", pa.int64(), "BIGINT"),
    ("workspace", pa.string(), "VARCHAR"),
    ("occurred_at", UTC_MICROS, "TIMESTAMP WITH TIME ZONE"),
    ("recorded_at", UTC_MICROS, "TIMESTAMP WITH TIME ZONE"),
    ("category", pa.string(), "VARCHAR"),
    ("action", pa.string(), "VARCHAR"),
    ("outcome", pa.string(), "VARCHAR"),
    ("actor", pa.string(), "VARCHAR"),
    ("targets", pa.list_(pa.string()), "VARCHAR[]"),
    ("ip", pa.string(), "VARCHAR"),
    ("user_agent", pa.string(), "VARCHAR"),
    ("session_id", pa.string(), "VARCHAR"),
    ("request_id", pa.string(), "VARCHAR"),
    ("database_user", pa.string(), "VARCHAR"),
    ("application_name", pa.string(), "VARCHAR"),
    ("client_addr", pa.string(), "VARCHAR"),
    ("masked", pa.int32(), "INTEGER"),
    ("adjusted", pa.list_(pa.string()), "VARCHAR[]"),
    ("details", pa.string(), "VARCHAR"),
    ("salt", pa.binary(), "BLOB"),
    ("xid", pa.int64(), "BIGINT"),
    ("expires_on", pa.date32(), "DATE"),
]
NAMES = [name for name, _, _ in SCHEMA]
EPOCH = datetime.datetime(1970, 1, 1)


def by_duckdb(folder):
    """Returns the rows, and the values of the folder names for each, read by DuckDB."""
    files = {"files": f"{folder}/*/*/*.parquet"}
    plain = "read_parquet($files, hive_partitioning = false)"
    types = [row[:2] for row in duckdb.execute(f"DESCRIBE SELECT * FROM {plain}", files).fetchall()]
    expect("types of DuckDB", types, [(name, theirs) for name, _, theirs in SCHEMA])
    columns = ", ".join(
        f"epoch_us({name})" if theirs.startswith("TIMESTAMP") else f"lower(hex({name}))" if theirs == "BLOB"
        else f"{name}::VARCHAR" if theirs == "DATE" else name
        for name, _, theirs in SCHEMA
    )
    rows = duckdb.execute(f"SELECT {columns} FROM {plain} ORDER BY id", files).fetchall()
    invalid = duckdb.execute(f"SELECT count(*) FROM {plain} WHERE NOT json_valid(details)", files).fetchone()
    expect("details that are not JSON", invalid, (0,))
    hive = "read_parquet($files, hive_partitioning = true, hive_types = {'workspace': VARCHAR, 'month': VARCHAR})"
    folders = duckdb.execute(f"SELECT id, workspace, month FROM {hive} ORDER BY id", files).fetchall()
    return [dict(zip(NAMES, row)) for row in rows], folders


def by_pyarrow(folder):
    """Returns the same, read by pyarrow."""
    rows = []
    for file in sorted(pathlib.Path(folder).glob("*/*/*.parquet")):
        table = pa.parquet.ParquetFile(file).read()
        expect(f"schema of {file}", [(field.name, simple(field.type)) for field in table.schema],
               [(name, ours) for name, ours, _ in SCHEMA])
        for name in ("occurred_at", "recorded_at"):
            table = table.set_column(NAMES.index(name), name, table[name].cast(pa.int64()))
        rows += table.to_pylist()
    for row in rows:
        row["salt"] = row["salt"].hex()
        row["expires_on"] = row["expires_on"].isoformat()
    keys = pa.schema([("workspace", pa.string()), ("month", pa.string())])
    dataset = pa.dataset.dataset(folder, partitioning=pa.dataset.partitioning(keys, flavor="hive"))
    folders = dataset.to_table(columns=["id", "workspace", "month"]).to_pylist()
    return sorted(rows, key=lambda row: row["id"]), sorted(tuple(row.values()) for row in folders)


def simple(kind):
    """Returns the type without the name and the nullability of list elements."""
    return pa.list_(kind.value_type) if pa.types.is_list(kind) else kind


def in_folder(workspace):
    """Returns the workspace as the name of its folder has it: its name, or a shortened one."""
    codes = [char if re.fullmatch(r"[^\x00-\x7f]|[A-Za-z0-9_.@-]", char) else f"%{ord(char):02X}" for char in workspace]
    if codes[-1] == ".":
        codes[-1] = "%2E"
    if len(f"workspace={''.join(codes)}".encode()) <= 255:
        return workspace
    shown = max(count for count in range(61) if len("".join(codes[:count]).encode()) <= 60)
    return f"{workspace[:shown]}~{hashlib.sha256(workspace.encode()).hexdigest()}"


def month(micros):
    return (EPOCH + datetime.timedelta(microseconds=micros)).strftime("%Y-%m")


def expect(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: found {found!r:.2000}, expected {expected!r:.2000}")


def main(folder, rows):
    with open(rows, encoding="utf-8") as lines:
        expected = [json.loads(line) for line in lines]
    folders = [(row["id"], in_folder(row["workspace"]), month(row["occurred_at"])) for row in expected]
    for name, read in (("DuckDB", by_duckdb), ("pyarrow", by_pyarrow)):
        found, found_folders = read(folder)
        expect(f"{name}: rows", len(found), len(expected))
        for row, wanted in zip(found, expected):
            for column in NAMES:
                expect(f"{name}: {column} of event {wanted['id']}", row[column], wanted[column])
        expect(f"{name}: folders", found_folders, folders)
    print(f"{len(expected)} rows agree")


if __name__ == "__main__":
    main(*sys.argv[1:])
