"""What calls cost: `python -m scripts.bench [--full]`, or `make bench`.

The server, or its media engine, has one core; a process of ours that plays all the callers has
the other. Measured are

- `record`: one-way calls, with SIP, `record` with every stop condition on, callbacks, files, beside
  two yardsticks under the same packets: a bare `recvmmsg` sweep that forgets them (the floor), and
  a plain asyncio datagram endpoint a call;
- `play` and `relay`: legs of the engine that are played a prompt, or relayed in pairs, while what
  their parties say is captured;
- `bridged`: calls with SIP that the server connects on to somebody else, recorded in stereo;
- `churn`: calls that come and go beside others that stand; `joining`: such that are connected on;
- `overload`: three times as many calls as the server takes on;
- `quiet` and `shelf`: a server without calls, and one that keeps 100,000 recordings.

The figure is CPU milliseconds per call and second over the steady state. A run counts only when
every sample that was sent is where it belongs, everything the server sent has arrived, every
callback came, and the generator itself kept time. How each is done stands at the top of the module
that does it: the runs are in `runs`.
"""
