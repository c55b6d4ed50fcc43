"""Session descriptions (RFC 8866) and the offer/answer exchange (RFC 3264); no I/O.

`description` is the text and its frozen types, `codec` the payload type table of RFC 3551,
`direction` who sends and who receives, `session` what we bring and what was agreed, and
`negotiation` the offers and answers themselves. Whatever a peer sends, the only error is
`DescriptionRefused` of `refusal`: 400 for what is no session description, 488 for one we cannot
accept.
"""
