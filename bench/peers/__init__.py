"""Side by side with other gateways, on the same edits: `python -m bench.peers --help`."""
