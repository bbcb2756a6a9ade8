"""What a name says of the value that it names: a password, a token, perhaps a secret, or nothing secret.

The words at its end decide, whatever its case and whether they are joined or not: `X-ApiToken`, `access_token` and
`clientsecret` carry secrets, `token_type`, `password_policy` and `tokens_supported` do not.
"""

import re
from enum import IntEnum
from functools import lru_cache


class Grade(IntEnum):
    """How secret a name makes its value."""

    NONE = 0
    PERHAPS = 1
    """A secret if the value looks like one: `code`, `auth_blob`."""
    TOKEN = 2
    """A secret unless the value is plainly none: a word such as `expired`, a URL, a date."""
    PASSWORD = 3
    """A secret even if it is a word or a short number."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PASSWORDS = _words(
    "password passwords passwd passwort pwd passphrase passphrases passcode passcodes pass pw secret secrets otp totp "
    "pin cvv cvc ssn mnemonic kennwort passe contraseña contrasena senha wachtwoord"
)
TOKENS = _words(
    "authorization auth cookie cookies token tokens session sessionid sid sessid phpsessid jsessionid apikey jwt csrf "
    "xsrf csrfmiddlewaretoken credential credentials bearer signature sig dpop cardnumber creditcardnumber iban"
)
ENDINGS = {  # of names that are joined, as HTTP/2 and databases write them: accesstoken, newpassword, clientsecret
    Grade.PASSWORD: ("password", "passwd", "passphrase", "passcode", "secret"),
    Grade.TOKEN: ("token", "tokens", "apikey", "accesskey", "secretkey", "privatekey", "sessionid", "sessid", "jwt"),
}
PERHAPS = _words(
    "code codeverifier ticket assertion samlresponse samlrequest nonce relaystate state hmac authentication"
)
KEY_OWNERS = _words("api access private secret session auth signing encryption subscription account master application")
FIELD_KEYS = _words("idempotency surrogate cache websocket public partition sort routing foreign primary")
"""What comes before `key` in fields and parameters that hold none."""
PAGING = _words("page next continuation sync cursor pagination resume")
"""What comes before `token` where it is a place in a list."""
NEUTRAL = _words(
    "id ids value hash data raw key string str text code confirm confirmation repeat again verify new old current"
)
"""Last words that leave the name as secret as it is without them: `session_id`, `password_confirmation`."""
HARMLESS = _words(
    "type types kind endpoint endpoints url urls uri uris expires expiry expire expiration ttl age timeout lifetime "
    "policy policies hint name names title method methods algorithm algorithms alg algs algo supported required "
    "enabled disabled allowed domain path count limit max min length size at in on date time header headers param "
    "params parameter field label placeholder description status state version format scope scopes issuer audience "
    "mode strength rules rule error errors message messages input created updated valid validity verified used usage "
    "remaining present exists set changed budget price provider class prefix page help link location request "
    "response server servers client user username email optional support strategy schema"
)
POLICIES = ("www-authenticate", "proxy-authenticate", "authentication-info", "proxy-authentication-info")
"""Fields that only sound secret, with those that begin as follows."""
POLICY_PREFIXES = ("access-control-", "sec-", "content-security-policy")

_STEMS = tuple(
    _words(
        "auth cook tok sess sid key jwt csrf xsrf cred bear sig pass pw secr otp pin cv ssn mnem dpop code tick assert "
        "saml iban card nonce state hmac kenn contras senha wacht"
    )
)

_PAGE_TOKEN = re.compile(rf"(?:{'|'.join(sorted(PAGING))})+tokens?")
_WORD = re.compile(r"[A-ZÀ-Þ]+(?![a-zß-ÿ])|[A-ZÀ-Þ]?[a-zß-ÿ]+|\d+")


def words(name: str) -> list[str]:
    """Return the words of a name in lower case: `X-ApiKey` and `x_api_key` both have `api`, `key`."""
    return [word.lower() for word in _WORD.findall(name)]


def may_be_secret_name(text: str) -> bool:
    """Return False where no name that makes its value a secret can be, at little cost."""
    return any(map(text.lower().__contains__, _STEMS))


def is_secret_name(name: str, names: tuple[str, ...] = ()) -> bool:
    """Return whether a field, parameter or member of this name carries a secret; `names` are further ones."""
    return grade(name, names) >= Grade.TOKEN


@lru_cache(256)  # the user's own, and those with the variables of some query
def _split_names(names: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(words(name)) for name in names)


@lru_cache(4096)  # the same few names come with every exchange
def grade(name: str, names: tuple[str, ...] = ()) -> Grade:
    """Return how secret a name makes its value; `names` are the user's own."""
    parts = words(name[-200:])
    if names and tuple(parts) in _split_names(names):
        return Grade.PASSWORD
    while len(parts) > 1 and parts[-1].isdigit():
        parts.pop()
    if "".join(parts) in PERHAPS:
        return Grade.PERHAPS
    if not parts or _is_harmless(parts):
        return Grade.NONE
    found = _grade_of_ending(parts)
    while not found and len(parts) > 1 and (parts[-1] in NEUTRAL or parts[-1].isdigit()):
        parts.pop()
        found = _grade_of_ending(parts)
    return found or (Grade.PERHAPS if any(_grade_of_ending([part]) for part in parts) else Grade.NONE)


@lru_cache(1024)
def field_grade(name: str, names: tuple[str, ...] = ()) -> Grade:
    """Return how secret the name of a field or a query parameter makes its value: `X-Functions-Key`, too."""
    lower = name.lower()
    if lower in POLICIES or lower.startswith(POLICY_PREFIXES):
        return Grade.NONE
    found, parts = grade(name, names), words(name[-200:])
    is_key = len(parts) > 1 and parts[-1] == "key" and parts[-2] not in FIELD_KEYS
    if is_key:
        return max(found, Grade.TOKEN)
    return Grade.PERHAPS if parts == ["key"] else found


def _is_harmless(parts: list[str]) -> bool:
    is_page_token = len(parts) > 1 and parts[-1] in ("token", "tokens") and parts[-2] in PAGING
    return is_page_token or (len(parts) > 1 and parts[-1] in HARMLESS) or bool(_PAGE_TOKEN.fullmatch("".join(parts)))


def _grade_of_ending(parts: list[str]) -> Grade:
    """Return what the last words say: exactly, as the end of a joined word, or as the owner of a key."""
    last, joined = parts[-1], "".join(parts)
    if last in PASSWORDS or last.endswith(ENDINGS[Grade.PASSWORD]):
        return Grade.PASSWORD
    if last in TOKENS or joined in TOKENS or last.endswith(ENDINGS[Grade.TOKEN]):
        return Grade.TOKEN
    is_key = len(parts) > 1 and last in ("key", "keys") and parts[-2] in KEY_OWNERS
    return Grade.TOKEN if is_key else Grade.NONE
