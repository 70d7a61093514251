"""What is said when the driving of runs is over: the report, what is left, and what to type next."""

import time
from collections.abc import Iterator, Sequence

from batchflow.app import Batchflow, Report
from batchflow.cli import failures
from batchflow.cli.driving import Ended, flying, worst
from batchflow.cli.exits import Exit
from batchflow.cli.figures import count
from batchflow.cli.output import BOLD, facts, remark, styled
from batchflow.cli.streams import OutputLost
from batchflow.model.money import dollars
from batchflow.model.state import Intent, Run, RunState
from batchflow.reports.ledger import RunReport, report
from batchflow.reports.runs import SHORT


async def tell_endings(ended: Sequence[Ended], *, json: bool, hints: bool = True) -> Exit:
    """Say how every job ended, and give the command's exit code."""
    reports = [await _one(one, json=json, hints=hints) for one in ended]
    if json:
        _write([found for found in reports if found is not None])
    return worst([one.exit for one in ended])


def _write(reports: Sequence[RunReport]) -> None:
    """Write the reports. Where that fails, the exit code still says what became of the run: that is what money hangs on."""
    try:
        facts(reports)
    except OutputLost as error:
        shorts = [found.run.short for found in reports]
        error.hint = "; ".join(f"`batchflow report {short} --json` prints it again" for short in shorts)
        failures.tell(error)


async def _one(ended: Ended, *, json: bool, hints: bool) -> RunReport | None:
    if ended.error is not None:
        failures.say(ended.error)
    if ended.report is None:
        if ended.error is None:
            failures.interrupted(await flying(ended.opened))
        return None
    found = await report(ended.opened.flow.store, ended.report.run, now=time.time())
    if not ended.report.driven:
        remark(_left_alone(ended.report, await _answered_elsewhere(ended.opened.flow, ended.report.run)))
    elif not json:
        _show(found)
    for line in ended.report.untold:
        remark(f"notice: {line}")
    for line in next_steps(ended.report, interrupted=ended.interrupted) if hints else ():
        remark(f"{styled('next:', BOLD)}  {line}")
    return found


def next_steps(report: Report, *, interrupted: bool = False) -> Iterator[str]:
    """Say what to type now, where there is something to do."""
    run, books = report.run, report.books
    short = run.id[:SHORT]
    match run.state:
        case RunState.DONE | RunState.CANCELED if report.driven and (books["dead"] or books["canceled"]):
            yield f"`batchflow report {short}` lists the dead letters by reason; `batchflow retry {short} --only WORD,WORD` asks them again"
        case RunState.PAUSED if run.by_operator:
            yield f"`batchflow resume {short}` goes on with it, `batchflow cancel {short}` ends it and keeps what is paid for"
        case RunState.PAUSED if run.cancel:
            yield (
                f"mend what it says, then `batchflow resume {short}` ends it: the wish to cancel is remembered, and nothing more "
                "is sent. What was answered is delivered, and paid for"
            )
        case RunState.PAUSED:
            yield f"mend what it says, then `batchflow resume {short}`. Every row is kept; what is in flight stays at the provider"
        case RunState.RUNNING | RunState.DRAINING:
            yield _left(run, books["in_flight"], interrupted=interrupted)
        case _:
            return


def _left(run: Run, flying: int, *, interrupted: bool) -> str:
    what = "interrupted" if interrupted else "left in flight"
    there = f"; {count(flying, 'request')} go on at the provider and will be paid for" if flying else ""
    return f"{what}{there}. Nothing is lost: `batchflow resume {run.id[:SHORT]}`, or the same `run` again, goes on from here"


async def _answered_elsewhere(flow: Batchflow, run: Run) -> str:
    """Tell a rehearsal from the real thing: the answers at hand may have come from another address than the job's."""
    here = flow.provider.binding().base_url
    intents = await flow.store.find(Intent, {"run": run.id}, limit=1, newest=True)
    there = intents[0].binding.base_url if intents else here
    return "" if there == here else f" (answered by {there}, while the job asks {here} now)"


def _left_alone(report: Report, elsewhere: str) -> str:
    """Say why a run was not driven."""
    if report.run.state is not RunState.PAUSED:
        return _done_before(report, elsewhere)
    flying = count(report.books["in_flight"], "request")
    return f"{report.run.job}: run {report.run.id[:SHORT]} was {report.run.why}, so `run` leaves it alone; {flying} in flight"


def _done_before(report: Report, elsewhere: str) -> str:
    run, paid = report.run, dollars(report.books["paid"])
    again = f"`--new` pays again (about {paid})"
    if run.state is RunState.CANCELED:
        rest = (
            f"`batchflow retry {run.id[:SHORT]} --only canceled` asks what was canceled"
            if report.books["canceled"]
            else ""
        )
        return f"{run.job}: run {run.id[:SHORT]} was canceled; {'; '.join(filter(None, [rest, again]))}"
    unsure = "" if run.fingerprint else " (its source cannot tell whether it has changed)"
    dead = count(report.books["dead"] + report.books["unbuildable"], "dead letter")
    left = f", with {dead}" if not dead.startswith("0") else ""
    return f"{run.job}: already delivered by {run.id[:SHORT]}{left}{unsure}{elsewhere}; {again}"


def _show(found: RunReport) -> None:
    from batchflow.cli.tables import report_table, to_stderr

    to_stderr(report_table(found))
