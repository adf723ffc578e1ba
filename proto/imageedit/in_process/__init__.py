"""A gRPC channel to a service in the same process: no socket, no serialised bytes in between.

    handlers = Handlers(interceptors)
    add_ImageEditServicer_to_server(servicer, handlers)
    stub = ImageEditStub(InProcessChannel(handlers, threads=64))

What a caller sees is what a channel to a socket shows (grpc.github.io/grpc/python): stubs,
metadata both ways, deadlines, cancellation, statuses. A message is handed over as it is: whoever
has given or got one must not change it any more.
"""

from imageedit.in_process.channel import InProcessChannel
from imageedit.in_process.handlers import Handlers

__all__ = ["Handlers", "InProcessChannel"]
