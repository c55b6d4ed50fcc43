"""RTP without sockets: packets in batches, the line they are placed on, digits, sources, RTCP."""
