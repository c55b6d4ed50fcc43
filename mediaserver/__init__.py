"""An asyncio SIP/RTP media server that records calls and never loses one."""

__version__ = "0.1.0"
