"""`batchflow schema`: the JSON Schema of job files, for editors."""

import sys
from pathlib import Path

import msgspec

from batchflow.cli.exits import Exit
from batchflow.config.schema import schema as made
from batchflow.extend.facade import Plugins


def schema(*, plugins: Plugins, output: Path | None = None) -> Exit:
    """Write the schema of job files as these plugins make it, to a file or to standard output."""
    text = msgspec.json.format(msgspec.json.encode(made(plugins)), indent=2).decode() + "\n"
    if output is None:
        sys.stdout.write(text)
        return Exit.DELIVERED
    output.write_text(text, encoding="utf-8")
    sys.stderr.write(f"wrote {output}; point editors to it with `# yaml-language-server: $schema={output.name}`\n")
    return Exit.DELIVERED
