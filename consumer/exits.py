"""The exit codes, as data: the command line, the docs and the tests read them from here."""

from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    """What the process says to its supervisor when it ends."""

    DONE = 0
    BUG = 1
    PIPELINE = 2
    FORCED = 3
    BROKER = 4
    REFUSED = 5
    HELD = 6
    STUCK = 7


MEANINGS: Final = {
    ExitCode.DONE: "stopped as told: what was written is committed, what was not will be read again",
    ExitCode.BUG: "a bug of onelane: the trace is in the log; nothing was committed that is not durable",
    ExitCode.PIPELINE: "the pipeline file, a file that it names, or the arguments are wrong; the message says where",
    ExitCode.FORCED: "stopped by force before the drain ended, by time-out or a second signal; nothing is lost",
    ExitCode.BROKER: "a fatal broker error, fenced by another instance, or no broker or group within 30 s",
    ExitCode.REFUSED: "a check refused: the model against the mapping, the topics, or a case of `onelane test`",
    ExitCode.HELD: "too many dead letters: a partition is held, and `when_held` is exit; nothing is lost",
    ExitCode.STUCK: "the watchdog: nothing moved for `stuck_after`; the stacks are in the log, nothing is lost",
}


def listed() -> str:
    """Return the codes with their meanings, one a line, as click's help takes them unwrapped."""
    lines = "\n".join(f"  {int(code)}  {meaning}" for code, meaning in MEANINGS.items())
    return f"\b\nExit codes:\n{lines}"


class OnelaneError(Exception):
    """An end of the process that is meant: the message is for a person, the code for the supervisor."""

    code: ExitCode = ExitCode.REFUSED


class PipelineError(OnelaneError):
    """The pipeline file or an argument is wrong."""

    code = ExitCode.PIPELINE


class RefusedError(OnelaneError):
    """A check at start found that this pipeline can't serve as it is."""

    code = ExitCode.REFUSED


class StoppedError(OnelaneError):
    """A signal came before there was anything to do."""

    code = ExitCode.DONE


class HeldError(OnelaneError):
    """A partition is held, and the pipeline file says that this ends the process."""

    code = ExitCode.HELD


class ForcedError(OnelaneError):
    """A person broke off what can be gone on with."""

    code = ExitCode.FORCED


class FatalBrokerError(OnelaneError):
    """Kafka says that this worker can't go on."""

    code = ExitCode.BROKER
