"""JSONPath (RFC 9535), which selects parts of a body."""

from proxy_policies.later import later

with later():
    import jsonpath

type Path = jsonpath.JSONPath | jsonpath.CompoundJSONPath


def compile_path(path: str) -> Path:
    """Compile a JSONPath. Raises ValueError."""
    try:
        return jsonpath.compile(path)
    except jsonpath.JSONPathError as error:
        raise ValueError(f"{path!r} is no JSONPath: {str(error).splitlines()[0]}") from None
