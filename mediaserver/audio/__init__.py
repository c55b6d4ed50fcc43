"""Audio as arrays: G.711, tones, voice detection, and files turned into samples.

Samples are numpy int16 arrays of one channel, 8000 a second unless a rate is given. A level in
dBov is relative to overload: the mean square of the samples against 32768 squared, so a full
square wave is 0 dBov and a full sine -3.01 dBov (RFC 3389 section 3, RFC 6464 section 3).
"""
