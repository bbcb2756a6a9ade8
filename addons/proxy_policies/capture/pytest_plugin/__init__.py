"""The pytest plugin: HTTP of tests recorded the first time, and replayed ever after."""
