"""Where records come from: files, standard input, SQLite."""
