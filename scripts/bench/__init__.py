"""What a recorded call costs: `python -m scripts.bench [--full]`, or `make bench`.

Three things are measured one after the other under the same load of one-way calls, each alone on
one core while the load generator has the other:

- the floor: the packets are drained by a bare `recvmmsg` sweep and forgotten;
- a plain asyncio datagram endpoint a call, which does nothing;
- the server, with real calls: SIP, `record` with every stop condition on, callbacks, files.

The figure is CPU milliseconds per call and second over the steady state. A run of the server
counts only when every sample that was sent is in its file, every callback came, and the generator
itself kept time. How each is done stands at the top of the module that does it.
"""
