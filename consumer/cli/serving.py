"""Pages served for whoever asks: of a worker, or of the supervisor of several."""

import socket

import structlog

from consumer.exits import PipelineError
from consumer.operate.http import AddressError, Pages, Server
from consumer.pipeline.findings import Finding
from consumer.pipeline.load import PipelineFile

_log = structlog.get_logger()


def serve(file: PipelineFile, pages: Pages, listener: int | None = None) -> None:
    """Serve pages where the pipeline file says, if it does.

    Args:
        file: the pipeline.
        pages: what can be asked for.
        listener: descriptor of a socket to serve on instead: a supervisor serves at the file's address itself, and
            asks its workers on sockets that it gave them.

    Raises:
        PipelineError: there can't be served.
    """
    address = file.spec.operate.http if listener is None else socket.socket(fileno=listener)
    if address is None:
        return
    try:
        server = Server(address, pages)
    except AddressError as error:
        raise PipelineError(file.refusal([Finding(("operate", "http"), str(error))])) from None
    _log.info("serving", http=server.address, pages=list(pages))
