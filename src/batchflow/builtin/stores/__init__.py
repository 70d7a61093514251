"""Where state and payloads are kept: SQLite and a folder, or memory."""
