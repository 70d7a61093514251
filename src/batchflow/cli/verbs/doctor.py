"""`batchflow doctor [RUN]`: what is stuck, and whether everything is still there."""

from typing import Annotated

from cyclopts import Parameter

from batchflow.cli.options import FoundState, Json, NoPlugins


def doctor(
    run: Annotated[
        str, Parameter(help="A job's name (its last run), `job@last`, or the start of a run's id. Default: every run.")
    ] = "",
    /,
    *,
    quick: Annotated[
        bool, Parameter(help="Look at the sizes of objects only; else each is read and its checksum taken.")
    ] = False,
    repair: Annotated[
        bool,
        Parameter(
            help="Mend what loses nothing: objects that no row names, leases of processes of this machine that are dead, and "
            "damaged answers that the provider still has, which are fetched again at no cost."
        ),
    ] = False,
    json: Json = False,
    state: FoundState = None,
    no_plugins: NoPlugins = False,
) -> int:
    """Explain in a sentence each what is stuck, and check that store and objects agree with each other and the laws.

    It asks nobody but the state folder, and changes nothing, unless `--repair` is given. It may be used while runs go on.

    Exit code 0: all is sound, and what waits passes by itself. 10: a run can be resumed. 5: something waits for a
    person. 9: an object is missing or damaged, or the store holds what cannot be.
    """
    from functools import partial

    import anyio

    from batchflow.cli.doctoring import doctor as examine
    from batchflow.config.plugging import none_loaded

    with none_loaded(off=no_plugins):
        return anyio.run(partial(examine, run, quick=quick, repair=repair, json=json, state=state))
