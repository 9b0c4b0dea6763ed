"""Tables and texts on stdout, for whoever reads them for as long as they do."""

import errno

from rich.console import Console


class Printed(Console):
    """A console that leaves it to the command line what becomes of a reader that has gone.

    rich's own ends the process with 1, which says that we have a bug.
    """

    def on_broken_pipe(self) -> None:
        """Be told that nobody reads any more.

        Raises:
            BrokenPipeError: always.
        """
        raise BrokenPipeError(errno.EPIPE, "nobody reads any more")
