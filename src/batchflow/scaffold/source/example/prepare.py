"""Make `animals.db` of `animals.jsonl`, to try the source on. It begins anew each time."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

here = Path(__file__).parent
lines = (here / "animals.jsonl").read_text(encoding="utf-8").splitlines()
with closing(sqlite3.connect(here / "animals.db")) as db, db:
    db.execute("DROP TABLE IF EXISTS records")
    db.execute("CREATE TABLE records (id TEXT, tenant TEXT, text TEXT)")
    db.executemany("INSERT INTO records VALUES (:id, :tenant, :text)", map(json.loads, lines))
