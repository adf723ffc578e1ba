"""The command `imageedit`: runs the gateway, keeps its keys, and edits pictures through it."""
