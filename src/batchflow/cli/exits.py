"""How the command line ends: one number for each way, and the sentence that goes with it."""

from enum import IntEnum

from batchflow.model import errors
from batchflow.model.errors import BatchflowError
from batchflow.model.words import Word


class Exit(IntEnum):
    """The exit codes. They are part of the interface: scripts branch on them."""

    sentence: str

    DELIVERED = 0, "All is well: every record is delivered, or there was nothing to do."
    BUG = 1, "A mistake of batchflow's own. Nothing paid for is lost; please report it."
    USAGE = 2, "The command was not understood, may not be given now, or could not write its output."
    CONFIG = 3, "The job file, or something it names, is wrong. Nothing was sent."
    DEAD_LETTERS = 4, "The run ended, and some records have no usable answer: see the dead letters."
    PAUSED = 5, "The run is paused, by its budget, the account's credit, or a guard. Every row is kept."
    CREDENTIALS = 6, "The API key is missing or not accepted."
    UNREACHABLE = 7, "The API could not be reached, or did not answer usefully, for as long as the policy allows."
    PLUGIN = 8, "A plugin failed."
    STORE = 9, "The state store is in use elsewhere, was written by a newer batchflow, is damaged, or cannot be used."
    IN_FLIGHT = 10, "Work is left in flight, and can be resumed."
    INTERRUPTED = 130, "Interrupted. Everything done is kept, and the run can be resumed."

    def __new__(cls, code: int, sentence: str) -> "Exit":
        """Make a code that knows its sentence."""
        made = int.__new__(cls, code)
        made._value_ = code
        made.sentence = sentence
        return made


def exit_of(error: BatchflowError) -> Exit:
    """Choose the exit code of an error."""
    match error:
        case errors.ConfigError(credentials=True):
            return Exit.CREDENTIALS
        case errors.ConfigError() | errors.UnknownComponent() | errors.SourceError() | errors.SinkUnready():
            return Exit.CONFIG
        case errors.PluginError():
            return Exit.PLUGIN
        case errors.UserError():
            return Exit.USAGE
        case errors.ProviderError():
            return _of_provider(error)
        case errors.OverCap():
            return Exit.PAUSED
        case errors.StoreError():
            return Exit.STORE
        case errors.SinkError():
            return Exit.IN_FLIGHT
        case _:
            return Exit.BUG


def _of_provider(error: errors.ProviderError) -> Exit:
    match error:
        case errors.ReplyLost():
            return Exit.IN_FLIGHT
        case errors.ProviderError(word=Word.UNAUTHORIZED):
            return Exit.CREDENTIALS
        case errors.ProviderError(word=Word.NO_CREDIT | Word.ARCHIVED):
            return Exit.PAUSED
        case errors.Refused(word=Word.INVALID | Word.UNKNOWN_MODEL | Word.TOO_LARGE):
            return Exit.CONFIG
        case _:
            return Exit.UNREACHABLE
