"""The only network code of the service: one paid call, and the download of its result."""
