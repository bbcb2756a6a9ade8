"""OpenAPI: a document generated from a capture, and responses checked against a document."""
