"""The HTTP front: OpenAI's images API in, gRPC out. It decides nothing that the service can."""
