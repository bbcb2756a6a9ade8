"""OpenAPI: a document made of what was captured, and answers held to a document."""
