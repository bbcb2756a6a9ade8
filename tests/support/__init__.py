"""Processes, servers, clients and test data that several test modules use; servers listen on 127.0.0.1."""
