"""One audio file being written, and audio brought to its sample rate.

======  ===========================  ==========================================
format  audio                        because
======  ===========================  ==========================================
wav     16-bit PCM                   bit for bit what it is given; RF64 beyond 4 GiB
mp3     32 kbit/s a channel, fixed   the encoder's own default at 8 kHz is 8 kbit/s
mp4     AAC, ~32 kbit/s a channel    index in front, so that it plays while it loads
======  ===========================  ==========================================
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Final

import av
import av.logging
import numpy as np
from numpy.typing import NDArray

from .resource import Format

BITS_PER_CHANNEL: Final = 32_000
RF64_FROM: Final = (1 << 32) - 4096
"""Bytes of audio from which a wav is RF64 (EBU Tech 3306): RIFF sizes are 32 bits wide."""

_CODECS: Final = MappingProxyType(
    {Format.WAV: "pcm_s16le", Format.MP3: "libmp3lame", Format.MP4: "aac"}
)
# Half the encoder's time for mp3 and a quarter for AAC; at 4 bits a sample nobody hears it.
_CHEAP: Final = MappingProxyType(
    {Format.MP3: {"compression_level": "7"}, Format.MP4: {"aac_coder": "fast"}}
)

# FFmpeg's log callback takes the GIL from its own threads and has deadlocked processes.
av.logging.set_level(None)


class Encoding:
    """A file of one format, begun when it is made. Raises OSError and av's errors.

    `close` it in any case; only after `finish` it is whole.
    """

    def __init__(self, path: Path, form: Format, rate: int, channels: int, samples: int) -> None:
        """`samples` is how many each channel will have."""
        self._form = form
        self._rate = rate
        self._channels = channels
        self._done = 0
        # Without "bitexact" a version string is written in; the same job is to give the same file.
        options = {"fflags": "+bitexact"}
        if form is Format.WAV:
            options["rf64"] = "always" if 2 * channels * samples >= RF64_FROM else "never"
        elif form is Format.MP4:
            options["movflags"] = "+faststart"
        self._container = av.open(str(path), "w", format=form.value, options=options)
        stream = self._container.add_stream(_CODECS[form], rate=rate, layout=_layout(channels))
        assert isinstance(stream, av.AudioStream)
        if form is not Format.WAV:
            stream.codec_context.bit_rate = BITS_PER_CHANNEL * channels
        stream.codec_context.options = {"flags": "+bitexact", **_CHEAP.get(form, {})}
        self._stream = stream
        self._container.start_encoding()  # the header, also of a recording without a sample

    def write(self, samples: NDArray[np.int16]) -> None:
        """Add samples, shape (n, channels)."""
        if len(samples):
            frame = _frame(samples, self._rate, self._done)
            self._done += len(samples)
            self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """Write what is left."""
        if self._done == 0 and self._form is not Format.WAV:
            # Players take a wav of nothing, but no mp3 or mp4 without a frame: one silent sample.
            self.write(np.zeros((1, self._channels), np.int16))
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def close(self) -> None:
        """Let go of the file."""
        self._container.close()


class Resampling:
    """Audio of one rate on its way to another: chunk after chunk as if it were one."""

    def __init__(self, rate: int, to: int, channels: int, samples: int | None) -> None:
        """`samples` is how many each channel will have at `rate`; None: not known before the end.

        Whether it was known makes no difference to what comes of them.
        """
        self.length = 0 if samples is None else round(samples * to / rate)
        """How many come of them, once it is known."""
        self.to = to
        """Hz they have then."""
        self.channels = channels
        self._rate = rate
        self._open = samples is None
        self._taken = 0
        self._given = 0
        self._resampler: av.AudioResampler | None = None
        if rate != to:
            self._resampler = av.AudioResampler(format="s16", layout=_layout(channels), rate=to)

    def take(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return what is ready of the audio so far, shape (n, channels)."""
        if self._resampler is None or not len(samples):
            return samples
        frame = _frame(samples, self._rate, self._taken)
        self._taken += len(samples)
        return self._resample(frame)

    def rest(self) -> NDArray[np.int16]:
        """Return what is left at the end: the length is then right to the sample."""
        if self._resampler is None:
            return np.empty((0, self.channels), np.int16)
        if self._open:
            self.length, self._open = round(self._taken * self.to / self._rate), False
        tail = self._resample(None) if self._taken else np.empty((0, self.channels), np.int16)
        missing = np.zeros((self.length - self._given, self.channels), np.int16)
        return np.concatenate((tail, missing))

    def _resample(self, frame: av.AudioFrame | None) -> NDArray[np.int16]:
        assert self._resampler is not None
        parts = [
            np.asarray(piece.to_ndarray(), np.int16).reshape(-1, self.channels)
            for piece in self._resampler.resample(frame)
        ]
        samples = np.concatenate([np.empty((0, self.channels), np.int16), *parts])
        if not self._open:
            samples = samples[: self.length - self._given]
        self._given += len(samples)
        return samples


def _layout(channels: int) -> str:
    return "stereo" if channels == 2 else "mono"


def _frame(samples: NDArray[np.int16], rate: int, at: int) -> av.AudioFrame:
    packed = np.ascontiguousarray(samples).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=_layout(samples.shape[1]))
    frame.sample_rate = rate
    frame.pts = at
    return frame
