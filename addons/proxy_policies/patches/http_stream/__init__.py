"""One request and its response inside of mitmproxy's layers: a section for each thing that is otherwise."""
