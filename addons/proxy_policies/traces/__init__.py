"""A span of each request and tunnel, sent to an OpenTelemetry collector."""
