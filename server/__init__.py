"""The gRPC service `ImageEdit`: keys, models, masks, providers and the edit's path."""
