"""Every socket of the server: SIP over UDP and TCP, and the media engine."""
