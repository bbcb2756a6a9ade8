"""JSONPath (RFC 9535), which selects parts of a body; the library is slow to import, so the first path brings it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jsonpath

type Path = jsonpath.JSONPath | jsonpath.CompoundJSONPath


def compile_path(path: str) -> Path:
    """Compile a JSONPath. Raises ValueError."""
    import jsonpath

    try:
        return jsonpath.compile(path)
    except jsonpath.JSONPathError as error:
        raise ValueError(f"{path!r} is no JSONPath: {str(error).splitlines()[0]}") from None
