"""Where records come from: files, standard input, SQLite.

`jsonl`, `csv`, `sqlite`, `files` and `stdin` are the factories. Under them, one idea a module: `tree` finds files, `stream`
opens them, `lines` cuts them, `mark` is the place in them, `paged` carries the work to a thread. Every source is a plain
generator of pages; nothing here awaits per record.
"""
