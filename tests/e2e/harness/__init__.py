"""What the end-to-end suite stands on: the real agent server, the gateway, and how to talk to them."""
