"""How much of anything a peer may make us hold or scan (RFC 3261 leaves every one of these open).

The torture messages of RFC 4475 fit with room to spare: the longest has a 3.6 kB header section,
51 headers and 34 Via values.
"""

from __future__ import annotations

# One message, start line to last body byte. UDP cannot carry more; TCP is held to the same.
MAX_MESSAGE_BYTES = 65_536

# Header fields in one message, counted before lists are split.
MAX_HEADERS = 256

# Characters of one header line after unfolding, name included; also of the start line.
MAX_LINE = 8_192

# Characters of a method; the strangest one of RFC 4475 has 44.
MAX_METHOD = 64

# Characters of one URI of any scheme; beyond it the answer is 414.
MAX_URI = 2_048

# Via values of one message. Max-Forwards starts at 70, so no honest path is longer.
MAX_VIAS = 70

# Values of one comma-separated header such as Contact or Record-Route.
MAX_LIST_VALUES = 100

# Characters of a header value or URI of which it is remembered what it means: the messages of one
# dialog repeat each other. With the numbers below this bounds what peers can fill with it.
MAX_REMEMBERED = 256

# Addresses and URIs that are remembered.
REMEMBERED = 4_096

# Parameters of one URI, address or Via.
MAX_PARAMS = 64

# RFC 3261 8.1.1.5: a CSeq number is below 2**31.
CSEQ_LIMIT = 2**31

# RFC 3261 20.22: Max-Forwards is 0 to 255.
MAX_FORWARDS_LIMIT = 255
