"""Grade names by the values they have: a password, a token, perhaps a secret, or none.

The last words of a name decide, regardless of case and of separators: `X-ApiToken`, `access_token` and
`clientsecret` carry secrets, `token_type`, `password_policy` and `tokens_supported` do not.
"""

import re
import unicodedata
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise


class Grade(IntEnum):
    """How probably the value of a name is a secret."""

    NONE = 0
    PERHAPS = 1
    """A secret if the value is random: `code`, `auth_blob`."""
    TOKEN = 2
    """A secret unless the value is a word such as `expired`, a URL or a date."""
    PASSWORD = 3
    """A secret even if the value is a word or a short number."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PASSWORDS = _words(
    "password passwords passwd passwort pwd passphrase passphrases passcode passcodes pass pw secret secrets otp totp "
    "psk pin cvv cvc ssn mnemonic storepass keypass passe senha heslo hasło haslo şifre sifre jelszó jelszo lozinka "
    "סיסמה"
)
TOKENS = _words(
    "authorization auth cookie cookies token tokens session sessionid sid sessid phpsessid jsessionid apikey jwt csrf "
    "xsrf csrfmiddlewaretoken credential credentials bearer signature sig dpop cardnumber creditcardnumber iban "
    "authorisation onetimecode seedphrase recoveryphrase securityanswer"
)
_FOREIGN_PASSWORDS = (  # that end compound words
    *("passwort", "kennwort", "wachtwoord", "lösenord", "losenord", "passord", "adgangskode", "salasana", "contraseña"),
    *("contrasena", "пароль", "密码", "密碼", "パスワード", "비밀번호"),
)
ENDINGS = {  # of names without separators, as in HTTP/2 and databases: accesstoken, newpassword, clientsecret
    Grade.PASSWORD: ("password", "passwd", "passphrase", "passcode", "secret", *_FOREIGN_PASSWORDS),
    Grade.TOKEN: ("token", "tokens", "apikey", "accesskey", "secretkey", "privatekey", "sessionid", "sessid", "jwt"),
}
PERHAPS = _words(
    "code codeverifier ticket assertion samlresponse samlrequest nonce relaystate state hmac authentication "
    "clientassertion oauthverifier devicecode usercode clave parola κωδικός clientkey clientkeydata"
)
KEY_OWNERS = _words(
    "api access private secret session auth signing encryption subscription account master application app license "
    "licence activation storage deploy ssh consumer preshared"
)
CODE_OWNERS = _words("verification authorization auth mfa otp recovery backup login access invite activation reset sms")
"""Words before `code` in names of secrets that are sent to a person, or exchanged for a token."""
_OWNERS = {"key": KEY_OWNERS, "code": CODE_OWNERS}
FIELD_KEYS = _words("idempotency surrogate cache websocket public partition sort routing foreign primary")
"""Words before `key` in names of fields and parameters that are not secret."""
PAGING = _words("page next continuation sync cursor pagination resume")
"""Words before `token` in names of positions in a paged list."""
NEUTRAL = _words(
    "id ids value hash data raw key string str text code confirm confirmation repeat again verify new old current"
)
"""Last words that do not change the grade: `session_id`, `password_confirmation`."""
HARMLESS = _words(
    "type types kind endpoint endpoints url urls uri uris expires expiry expire expiration ttl age timeout lifetime "
    "policy policies hint name names title method methods algorithm algorithms alg algs algo supported required "
    "enabled disabled allowed domain path count limit max min length size at in on date time header headers param "
    "params parameter field label placeholder description status state version format scope scopes issuer audience "
    "mode strength rules rule error errors message messages input created updated valid validity verified used usage "
    "remaining present exists set changed budget price provider class prefix page help link location request "
    "response server servers client user username email optional support strategy schema address"
)
POLICIES = ("www-authenticate", "proxy-authenticate", "authentication-info", "proxy-authentication-info")
"""Fields with a secret word in their name that are not secret, as those with a prefix of POLICY_PREFIXES."""
POLICY_PREFIXES = ("access-control-", "sec-", "content-security-policy")

_STEMS = _FOREIGN_PASSWORDS + tuple(
    _words(
        "auth cook tok sess sid key psk jwt csrf xsrf cred bear sig pass pw secr otp pin cv ssn mnem dpop code tick "
        "assert saml iban card nonce state hmac senha heslo hasło haslo şifre sifre jelsz lozinka סיסמ phrase answer "
        "verifier clave parola κωδικ"
    )
)

_PAGE_TOKEN = re.compile(rf"(?:{'|'.join(sorted(PAGING))})+tokens?")
_WORD = re.compile(r"[A-ZÀ-Þ]+(?![a-zß-ÿ])|[A-ZÀ-Þ]?[a-zß-ÿ]+|\d+")
_WORD_BEYOND_LATIN_1 = re.compile(r"[^\W\d_]+|\d+")


def words(name: str) -> list[str]:
    """Return the words of a name in lower case: `x`, `api` and `key` for `X-ApiKey` as for `x_api_key`."""
    if max(name, default="") > "ÿ":
        text = unicodedata.normalize("NFKC", name)
        pairs = pairwise(f" {text}")
        return _WORD_BEYOND_LATIN_1.findall(
            "".join([f" {after}" if before.islower() and after.isupper() else after for before, after in pairs]).lower()
        )
    return [word.lower() for word in _WORD.findall(name)]


def may_be_secret_name(text: str) -> bool:
    """Return False if a text cannot contain a secret name; a fast check."""
    return any(map(text.lower().__contains__, _STEMS))


def is_secret_name(name: str) -> bool:
    """Return whether the value of a field, parameter or member of this name is a secret."""
    return grade(name) >= Grade.TOKEN


@lru_cache(256)  # the user's names, also with the variables of a query
def _split_names(names: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(words(name)) for name in names)


@lru_cache(4096)  # names repeat with every exchange
def grade(name: str, names: tuple[str, ...] = ()) -> Grade:
    """Return the grade of a name; `names` are the user's additional secret names."""
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


def is_policy(name: str) -> bool:
    """Return whether a field has rules for clients, which name secrets and have none."""
    lower = name.lower()
    return lower in POLICIES or lower.startswith(POLICY_PREFIXES)


@lru_cache(1024)
def field_grade(name: str, names: tuple[str, ...] = ()) -> Grade:
    """Return the grade of the name of a field or a query parameter, where any key may be one: `X-Functions-Key`.

    Without a hyphen, it may be an identifier, such as `issueKey`.
    """
    if is_policy(name):
        return Grade.NONE
    found, parts = grade(name, names), words(name[-200:])
    is_key = len(parts) > 1 and parts[-1] == "key" and parts[-2] not in FIELD_KEYS
    if is_key:
        return max(found, Grade.TOKEN if "-" in name else Grade.PERHAPS)
    return Grade.PERHAPS if parts == ["key"] else found


def _is_harmless(parts: list[str]) -> bool:
    is_page_token = len(parts) > 1 and parts[-1] in ("token", "tokens") and parts[-2] in PAGING
    return is_page_token or (len(parts) > 1 and parts[-1] in HARMLESS) or bool(_PAGE_TOKEN.fullmatch("".join(parts)))


def _grade_of_ending(parts: list[str]) -> Grade:
    """Return the grade of the last word: by itself, as the end of a compound word, or as a key or code of an owner."""
    last, joined = parts[-1], "".join(parts)
    if last in PASSWORDS or last.endswith(ENDINGS[Grade.PASSWORD]):
        return Grade.PASSWORD
    if not TOKENS.isdisjoint((last, joined, last.removesuffix("s"))) or last.endswith(ENDINGS[Grade.TOKEN]):
        return Grade.TOKEN
    owners = _OWNERS.get(last.removesuffix("s"), frozenset())
    return Grade.TOKEN if len(parts) > 1 and parts[-2] in owners else Grade.NONE
