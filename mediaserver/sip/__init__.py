"""SIP without sockets: values, messages, transactions, dialogs, one agent (RFC 3261)."""
