"""Recognises files of other formats that users take for captures, for errors that say what to do with them."""

import re

from proxy_policies.script_paths import own_command

BEGINNING = 1 << 16  # bytes that are searched
_REQUESTS = (
    "it has requests and no responses; run it with {command} capture record NEW.har -- PROGRAM, and use its result"
)
_KINDS = (
    (rb'"_postman_id"|schema\.getpostman\.com/json/collection', f"a Postman collection: {_REQUESTS}"),
    (rb'"_type"\s*:\s*"export"|\A\s*type:\s*collection\.insomnia\.rest', f"an Insomnia export: {_REQUESTS}"),
    (
        rb'"(?:openapi|swagger)"\s*:\s*"[23]|\A(?:#[^\n]*\n|---\s*\n|\s*\n)*(?:openapi|swagger)\s*:',
        "an OpenAPI document: it has no responses; {command} capture check CAPTURE --openapi {path} compares a "
        "capture's",
    ),
    (
        rb"\A\s*(?:/\*.*?\*/\s*)?[A-Za-z_$][\w.$]*\s*\(\s*[\[{]",
        "JSONP, a script: write what is between its first ( and its last ) into a file of its own",
    ),
)
_PATTERNS = tuple((re.compile(pattern, re.DOTALL), text) for pattern, text in _KINDS)


def what_it_is(path: object, data: bytes) -> str:
    """Return the format of a file that is not a HAR, and what to do with it; empty if it is unknown."""
    beginning = data[:BEGINNING]
    found = next((text for pattern, text in _PATTERNS if pattern.search(beginning)), "")
    return found.format(command=own_command(), path=path)
