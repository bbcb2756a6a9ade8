"""Redact tokens in the paths of URLs: links to reset a password, to sign in, to be called back."""

import re

from proxy_policies.capture.secrets.decider import Decider, Place

PATH_WORDS = (
    *("reset", "verify", "confirm", "activate", "unsubscribe", "invit", "magic", "token", "session"),
    *("hook", "password", "passwd", "secret", "apikey", "api-key", "api_key"),
)
_SLASH = r"\\{0,3}/"
"""PHP writes a slash in JSON with a backslash before it; a string in a string has three."""
_SIGN_IN = rf"/(?:log-?in|sign-?in|sso|otp|unlock){_SLASH}"
SIGN_IN_PATH = re.compile(rf"(?i){_SIGN_IN}[\w~-]{{12}}")
"""Pages of these names are often files of scripts: a token has no dot."""
_END_OF_SEGMENT = r"(?=[/?#;\s\"'<>\\]|\Z)"
_AFTER_WORD = re.compile(
    rf"(?i)(?P<before>/[\w-]{{0,40}}(?:{'|'.join(PATH_WORDS)})[\w-]{{0,40}}{_SLASH}(?:[\w-]{{1,20}}{_SLASH}){{0,2}}?)"
    rf"(?P<token>[\w.~-]{{12,}}){_END_OF_SEGMENT}"
)
_AFTER_SIGN_IN = re.compile(rf"(?i)(?P<before>{_SIGN_IN})(?P<token>[\w~-]{{12,}}){_END_OF_SEGMENT}")
_LONG_SEGMENT = re.compile(r"/[\w.~-]{12}")


def in_paths(text: str, decider: Decider) -> str:
    """Replace a random segment after one such as `reset-password` or `login`, in a URL or a text with links."""
    if _LONG_SEGMENT.search(text) is None:
        return text

    def token(found: re.Match[str]) -> str:
        return found["before"] + decider.replace("token", found["token"], Place.CODE)

    if any(map(text.lower().__contains__, PATH_WORDS)):
        text = _AFTER_WORD.sub(token, text)
    return text if SIGN_IN_PATH.search(text) is None else _AFTER_SIGN_IN.sub(token, text)
