"""The table of verbs, and the one place where an error becomes a sentence and an exit code.

Verbs are named by path: typing one imports its module and no other, and `--help` imports none.
"""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

from cyclopts import App, CycloptsError, Group, Parameter

from batchflow.cli.exits import Exit
from batchflow.cli.streams import OutputLost, guarded

if TYPE_CHECKING:
    from batchflow.extend.offers import Offer

RUN = Group("Run jobs", sort_key=1)
LOOK = Group("Look", sort_key=2)
WRITE = Group("Begin and write jobs", sort_key=3)
KEEP = Group("Keep house", sort_key=4)

VERBS: tuple[tuple[str, Group, str], ...] = (
    ("run", RUN, "Run the jobs of a file, or go on where they stopped."),
    ("plan", RUN, "Say what a run would send and cost. Sends and writes nothing."),
    ("retry", RUN, "Ask dead letters of a finished run again."),
    ("replay", RUN, "Bring a run's results to one of its sinks again."),
    ("resume", RUN, "Go on with a paused, failed or interrupted run."),
    ("pause", RUN, "Send nothing more for now. What is in flight stays at the provider."),
    ("cancel", RUN, "End a run early, and keep what is paid for."),
    ("reconcile", RUN, "Settle batches whose fate is unknown: find them, or say what became of them."),
    ("doctor", LOOK, "Explain what is stuck, and check that store and objects agree."),
    ("ps", LOOK, "List runs, their books, and who drives them."),
    ("report", LOOK, "What came of a run: delivered, dead and why, tokens, cost beside list price."),
    ("show", LOOK, "Follow one record by its key: request, attempts, cost, where it went."),
    ("results", LOOK, "Write a run's results to standard output again, as JSON lines."),
    ("demo", WRITE, "See 200 records go the whole way, with no key and no network."),
    ("init", WRITE, "Write a job file that runs."),
    ("validate", WRITE, "Find every mistake in a job file. Sends and writes nothing."),
    ("describe", WRITE, "List the components there are, and the options of each."),
    ("plugin", WRITE, "List plugins, check one, say which part of a job comes from which, or write a new one."),
    ("schema", WRITE, "Print the job file's JSON schema, for editors."),
    ("sim", WRITE, "Serve a simulated Message Batches API on this machine."),
    ("gc", KEEP, "Remove the stored payloads of old finished runs."),
)

EPILOGUE = "`batchflow VERB --help` explains a verb. Exit codes: docs/reference/exit-codes.md."


def command_line(words: Sequence[str]) -> int:
    """Do what was typed, and give the exit code. Nothing but a second Ctrl-C gets past it."""
    with guarded():
        return _written(_done(words))


def _done(words: Sequence[str]) -> int:
    from batchflow.cli import failures

    foreign: Offer | None = None
    try:
        app = _app()
        foreign = _add_foreign(app, words)
        given = app(words, exit_on_error=False)
        return int(given or 0) if foreign is None else _code_of(given)
    except CycloptsError:
        return Exit.USAGE
    except KeyboardInterrupt:
        return failures.interrupted()
    except Exception as error:  # noqa: BLE001 - whatever it was, it becomes a sentence and a code
        return failures.tell(error if foreign is None else failures.of_command(foreign, error))


def _code_of(given: object) -> int:
    """Read what a plugin's command gave: nothing, or an exit code."""
    if given is None or isinstance(given, int):
        return given or 0
    raise TypeError(f"it gave {given!r}, not an exit code")


def _written(code: int) -> int:
    """Bring the output out. Where that fails, a command that went well did not; one that did not keeps its code."""
    from batchflow.cli import failures

    try:
        sys.stdout.flush()
    except OutputLost as error:
        return code or failures.tell(error)
    return code


def _app() -> App:
    app = App(
        name="batchflow",
        help="Run millions of Claude requests at batch price, and know where every one of them is.",
        help_epilogue=EPILOGUE,
        version=lambda: version("batchflow-jobs"),
        default_parameter=Parameter(negative=(), show_default=False),
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    for name, group, sentence in VERBS:
        app.command(f"batchflow.cli.verbs.{name}:{name}", name=name, help=sentence, group=group)
    return app


def _add_foreign(app: App, words: Sequence[str]) -> "Offer | None":
    """Look for a verb among the plugins only when nobody else knows it: asking them all takes time."""
    verb = next((word for word in words if not word.startswith("-")), "")
    if not verb or any(verb == name for name, _, _ in VERBS):
        return None
    from batchflow.cli.options import HERE
    from batchflow.cli.output import remark
    from batchflow.config.plugging import plugins_for
    from batchflow.extend.kinds import Kind

    plugins = plugins_for(HERE)
    offer = plugins.offers(Kind.COMMAND).get(verb)
    if offer is None:
        for broken in plugins.broken:
            remark(f"warning: {broken}")
        return None
    app.command(offer.load(), name=verb)
    return offer
