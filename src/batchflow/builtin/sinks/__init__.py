"""Where results go: standard output, files, SQLite."""
