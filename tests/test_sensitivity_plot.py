"""The plot of the sensitivity is the one of the code, and its curves go one way."""

from __future__ import annotations

from itertools import pairwise

import pytest

from scripts import sensitivity_plot
from scripts.sensitivity_plot import NOISE_DBOV, PLOT, SENSITIVITIES, softest

pytestmark = pytest.mark.interop("speech")


def test_the_committed_plot_is_what_the_script_draws() -> None:
    assert PLOT.read_text() == sensitivity_plot.draw(), "run python -m scripts.sensitivity_plot"


@pytest.mark.parametrize("noise_dbov", [None, NOISE_DBOV])
def test_the_more_sensitive_the_softer_the_voice_that_is_heard(noise_dbov: float | None) -> None:
    levels = [softest(sensitivity, noise_dbov) for sensitivity in SENSITIVITIES]
    for less, more in pairwise(levels):
        assert more <= less + 1  # webrtcvad adapts to what it hears
    assert levels[-1] < levels[0]
