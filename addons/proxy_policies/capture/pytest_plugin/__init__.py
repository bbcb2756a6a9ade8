"""The pytest plugin: records the HTTP of tests the first time, and replays it from then on."""
