"""Make a small shop.db to try the job on. It begins anew each time."""

import sqlite3
from contextlib import closing
from pathlib import Path

REVIEWS = [
    ("kettle", "Boils in a minute, and the lid does not rattle."),
    ("kettle", "The handle gets hot. I sent it back."),
    ("desk lamp", "Good light. The switch is on the wrong side for me."),
    ("desk lamp", "Arrived broken, replaced within two days, works well now."),
    ("rug", "The colour is nothing like the picture."),
    ("rug", "Soft, heavy, and the cat has moved in."),
]

here = Path(__file__).parent
(here / "shop.db").unlink(missing_ok=True)
with closing(sqlite3.connect(here / "shop.db")) as shop, shop:
    shop.execute("CREATE TABLE reviews (id INTEGER PRIMARY KEY, product TEXT, text TEXT, status TEXT, mood TEXT)")
    shop.executemany("INSERT INTO reviews (product, text, status) VALUES (?, ?, 'new')", REVIEWS)
    shop.execute("INSERT INTO reviews (product, text, status) VALUES ('mug', 'Done long ago.', 'done')")
