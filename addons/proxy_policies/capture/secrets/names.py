"""Which names and shapes of values carry secrets."""

import re
from functools import lru_cache
from itertools import pairwise


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


WORDS = _words(
    "authorization auth cookie token tokens secret secrets password passwd pwd passphrase session sessionid sid "
    "phpsessid jsessionid apikey jwt csrf xsrf csrftoken xsrftoken csrfmiddlewaretoken credential credentials "
    "bearer signature sig otp pin cvv cvc ssn"
)
KEY_OWNERS = _words("api access private secret session auth signing encryption subscription account")
NUMERIC = _words("password passwd pwd otp pin cvv cvc ssn")  # redacted as numbers too: max_tokens is not

MARKS = ("eyJ", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "sk_", "rk_", "AKIA", "ASIA", "xox", "-----BEGIN ")
"""One of these is in every text that has one of the following: looking for them is quick, matching patterns is not."""
TOKENS = (  # secrets that are known by their shape alone
    r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*",  # JSON Web Token
    r"\bgh[pousr]_[A-Za-z0-9]{36,}",  # GitHub
    r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{10,}",  # Stripe
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",  # AWS
    r"\bxox[abprs]-[A-Za-z0-9-]{10,}",  # Slack
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----",
)

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def words(name: str) -> list[str]:
    """Return the words of a name in lower case: `X-ApiKey` and `x_api_key` both have `api`, `key`."""
    return [word.lower() for word in _WORD.findall(name)]


@lru_cache(4096)  # the same few names come with every exchange
def is_secret_name(name: str, names: tuple[str, ...] = ()) -> bool:
    """Return whether a field, parameter or member of this name carries a secret; `names` are further ones."""
    parts = words(name[:200])
    if any(part in WORDS for part in parts) or "".join(parts) in WORDS:
        return True
    if any(owner in KEY_OWNERS and key in ("key", "keys") for owner, key in pairwise(parts)):
        return True
    return any(parts == words(other) for other in names)
