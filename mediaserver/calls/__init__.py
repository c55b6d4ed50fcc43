"""Calls: where signalling, media, recordings and documents meet."""
