"""Make what the team has anyway: a claims database, a repository of prompts with two tags, and two secrets.

The desk itself is `service.py`.
"""

import base64
import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

HERE = Path(__file__).parent
SCHEMA = """
CREATE TABLE tenants (tenant TEXT PRIMARY KEY, tier TEXT NOT NULL);
CREATE TABLE policies (policy INTEGER PRIMARY KEY, tenant TEXT NOT NULL REFERENCES tenants, product TEXT NOT NULL);
CREATE TABLE claims (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, claim TEXT NOT NULL UNIQUE, policy INTEGER NOT NULL REFERENCES policies,
    text TEXT, taken_at TEXT
);
CREATE VIEW claims_to_triage AS
    SELECT seq, claim, text, tenant, tier, product FROM claims JOIN policies USING (policy) JOIN tenants USING (tenant);
"""
PROMPTS = {
    "v1": "Is this claim urgent? {{ text }}\n",
    "v2": "A claim under a {{ product }} policy. In one sentence: what happened, and is it urgent?\n\n{{ text }}\n",
}
AUTHOR = ("-c", "user.name=claims team", "-c", "user.email=claims@example.org", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false")  # fmt: skip


def database(path: Path, claims: list[tuple[str, str | None]]) -> None:
    """Make the database anew, with these claims, of three tenants in turn."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(SCHEMA)
        connection.executemany("INSERT INTO tenants VALUES (?, ?)", [("north", "premium"), ("south", "standard"), ("try", "trial")])  # fmt: skip
        connection.executemany("INSERT INTO policies VALUES (?, ?, ?)", [(0, "north", "household"), (1, "south", "car"), (2, "try", "car")])  # fmt: skip
        rows = [(claim, number % 3, text) for number, (claim, text) in enumerate(claims)]
        connection.executemany("INSERT INTO claims (claim, policy, text) VALUES (?, ?, ?)", rows)


def tagged(repository: Path, path: str, text: str, tag: str) -> None:
    """Commit a prompt and tag it; a repository that is not there is made."""
    repository.mkdir(exist_ok=True)
    if not (repository / ".git").exists():
        git(repository, "init", "--quiet", "--initial-branch=main")
    (repository / path).write_bytes(text.encode())
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--allow-empty", "--message", tag)
    git(repository, "tag", "--force", tag)


def git(repository: Path, *words: str) -> None:
    """Type a git command."""
    subprocess.run(["git", "-C", str(repository), *AUTHOR, *words], check=True)  # noqa: S603, S607 - a list of words, and whatever git there is


def secret(name: str, text: str) -> None:
    """Keep a secret where the job file looks for it."""
    (HERE / "secrets").mkdir(exist_ok=True)
    (HERE / "secrets" / name).write_text(f"{text}\n")


if __name__ == "__main__":
    database(HERE / "claims.db", [(f"C-{number:04}", f"Claim {number}: the roof leaks.") for number in range(1, 61)])
    for tag, text in PROMPTS.items():
        tagged(HERE / "prompts", "triage.md", text, tag)
    secret("desk_token", "desk-token-of-the-night-job")
    secret("ops_hook", f"whsec_{base64.b64encode(os.urandom(32)).decode()}")
