"""Supplying `validate` with what the app supplies to a run."""

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from batchflow.cli.exits import Exit
from batchflow.cli.opening import given, split_words
from batchflow.cli.validate import validate
from batchflow.config.plugging import plugins_for
from batchflow.engine.pricing import price_books


def check_file(words: Sequence[str], *, json: bool, no_plugins: bool = False) -> Exit:
    """Check a job file. Standard input, where it is the source, is looked at in a folder that goes away again."""
    file, names = split_words(words)
    plugins = plugins_for(file, off=no_plugins)
    prices = price_books(plugins)
    with TemporaryDirectory(prefix="batchflow-") as spool:
        supplied = given(plugins, Path(spool))
        return validate(file, names, plugins=plugins, prices=prices, env=os.environ, given=supplied, json=json)
