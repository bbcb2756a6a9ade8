"""Redact command lines and calls: flags, curl's `-u` and `-H`, netrc, .pgpass, `setItem("token", "…")`.

Texts of any kind may contain them: logs, pages of documentation, JSON of CI systems.
"""

import re

from proxy_policies.capture.secrets.decider import Decider, Place
from proxy_policies.capture.secrets.marks import Marks, compile_marks, has_any

_FLAG = re.compile(
    r"(?P<before>--(?<![\w!-]--)(?P<name>[A-Za-z][\w-]{1,60})(?:=|[ \t]++|\"\s*+,\s*+\")\\?[\"']?)"
    r"(?P<value>[^\s\"'\\<>;&|-][^\s\"'\\<>;&|]*+)"
)
_USER = re.compile(
    r"(?P<before>(?:(?<=[\s\"'])-[uU]|--user|--proxy-user)(?:=|[ \t]*+|\"\s*+,\s*+\")\\?[\"']?[^\s:\"'\\]{1,100}:)"
    r"(?P<value>[^\s\"'\\]+)"
)
_FIELD = re.compile(
    r"(?P<before>(?P<quote>\\?[\"'])(?P<name>(?!(?i:(?:proxy-)?authorization|(?:set-)?cookie):)[A-Za-z][\w-]{1,60}):"
    r"[ \t]*+)(?P<value>[^\"'\\\n]+)(?=(?P=quote))"
)
"""A header field, except credentials and cookies, which `redact_text.in_lines` redacts."""
_SPACE, _WORD = r"(?:\s|\\[nrt]){1,9}", r"[^\s\\\"']{1,200}"
_NETRC = re.compile(
    rf"(?P<before>\b(?:machine{_SPACE}{_WORD}|default){_SPACE}login{_SPACE}{_WORD}{_SPACE}password{_SPACE})(?P<value>{_WORD})"
)
_PGPASS = re.compile(
    r"(?m)(?P<before>(?:^|\\n|\")[\w.*/-]{1,253}:(?:5432|\*):[\w.*-]{1,63}:[\w.*@-]{1,63}:)(?P<value>[^\s:\"\\]{1,200})"
)
"""A line of PostgreSQL's .pgpass: host, port, database, user and password."""
PGPASS_MARKS = (":5432:", ":*:")
_CALL = re.compile(
    r"(?P<before>\(\s*+(?P<quote>\\?[\"'])(?P<name>[A-Za-z][\w.-]{1,60})(?P=quote)\s*+,\s*+\\?[\"'`])"
    r"(?P<value>[^\"'`\\\n]+)"
)
_ORACLE = re.compile(
    r"(?P<before>(?:jdbc:oracle:\w{1,9}:|\bsqlplus[ \t]++(?:-\w++[ \t]++)*+)[^\s/@:\"'\\]{1,100}/)"
    r"(?P<value>[^\s@\"'\\]{1,200})(?=@)"
)
_SQL = re.compile(
    r"(?i)(?P<before>\b(?:identified[ ]+(?:with[ ]+[\w'-]+[ ]+)?by|password)[ ]+')(?P<value>[^'\\\n]+)(?=')"
)
"""`ALTER USER bob IDENTIFIED BY '…'`, `WITH PASSWORD '…'`"""
_FILTER = re.compile(
    r"(?P<before>(?P<name>(?<![\w/.])[A-Za-z_][\w/.]{1,99}+) (?:eq|ne|co|sw|ew|EQ|NE|CO|SW|EW) (?P<quote>\\?[\"']))"
    r"(?P<value>[^\"'\\\n]+)(?=(?P=quote))"
)
"""A comparison in OData and SCIM: `password eq '…'`."""
_FUNCTION = re.compile(
    r"(?P<before>\b(?:contains|startswith|endswith)\((?P<name>[A-Za-z_][\w/.]{1,99}+), ?(?P<quote>\\?[\"']))"
    r"(?P<value>[^\"'\\\n]+)(?=(?P=quote))"
)
"""A function of OData: `contains(password, '…')`."""
_REVERSED = re.compile(
    r"(?P<before>(?P<quote>\\?[\"']))(?P<value>[^\"'\\\n]+)(?=(?P=quote)[ ]?(?:eq|EQ|ne|[=!]={1,2}|=)[ ]?"
    r"(?P<name>[A-Za-z_][\w/.]{1,99}+))"
)
"""A comparison with the value first: `'…' eq password`, `"…" === token`."""
_GAP = r"(?:[ \t]++|\"\s*+,\s*+\")\\?[\"']?"
"""What is between the arguments of a command, also in a list of JSON."""
PASSWORD_FLAGS = {  # by the program
    "mysql": "-p",
    "mariadb": "-p",
    "sshpass": rf"-p(?:{_GAP})?",
    "redis-cli": rf"-a{_GAP}",
    "valkey-cli": rf"-a{_GAP}",
    "docker login": rf"-p{_GAP}",
    "podman login": rf"-p{_GAP}",
    "registry login": rf"-p{_GAP}",
    "mongo": rf"-p{_GAP}",
    "ldap": rf"-w{_GAP}",
    "sqlcmd": rf"-P(?:{_GAP})?",
    "bcp": rf"-P(?:{_GAP})?",
    "zip": rf"-P{_GAP}",
    "smbclient": rf"-U(?:{_GAP})?[^\s%\"']{{1,100}}%",
    "rpcclient": rf"-U(?:{_GAP})?[^\s%\"']{{1,100}}%",
    "htpasswd": rf"-\w{{0,3}}b\w{{0,3}}{_GAP}[^\s\"']{{1,200}}{_GAP}[^\s\"']{{1,100}}{_GAP}",
    "openssl": rf"-pass(?:in|out)?{_GAP}pass:",
}
"""The arguments before a password, where the name of the flag does not say so."""


def _password_flag(program: str, flag: str) -> re.Pattern[str]:
    before = rf"\b{program}\w*+\b[^\n;&|]{{0,300}}?(?<=[\s\"']){flag}\\?[\"']?"
    return re.compile(rf"(?P<before>{before})(?P<value>[^\s\"'\\<>;&|$-][^\s\"'\\<>;&|]*+)")


_PROTOCOL = re.compile(
    r"(?m)(?P<before>^(?:[\w.]{1,8} ){0,2}(?:PASS|AUTH|auth|LOGIN)(?: [\w.@-]{1,100})? [\"']?)"
    r"(?P<value>[^\s\"']{6,200})(?=[\"']?\r?$)"
)
"""A line of a client in IMAP, POP3, FTP, IRC or Redis."""
REDIS_WORDS = ("requirepass", "masterauth", "setuser")
_REDIS = re.compile(
    r"(?im)(?P<before>(?:^|\\n|\"|\bset )(?:requirepass|masterauth)[ \t]+[\"']?|\bsetuser [^\n>]{1,200} >)"
    r"(?P<value>[^\s\"'\\]++)(?=[\"'\\]|[ \t]*\r?$| [~+&-])"
)
"""A setting with a password, and a user's password in an access list: `ACL SETUSER bob on >…`."""
_SECURE_STRING = re.compile(
    r"(?P<before>ConvertTo-SecureString[ \t]++(?:-\w++[ \t]++)*+\\?[\"'])(?P<value>[^\"'\\$\n]+)"
)
_TUPLE = re.compile(r"(?P<before>\{(?P<name>[a-z]\w{1,60}+),[ ]?\\?\")(?P<value>[^\"\\\n]+)")
"""A tuple of Erlang with a name and its value."""
_KEYWORD = re.compile(r"(?P<before>:(?<![\w:]:)(?P<name>[A-Za-z][\w./*!?-]{1,99})\s{1,9}+\\?\")(?P<value>[^\"\\\n]+)")
"""A keyword of Clojure, EDN or Lisp and its value."""
_COMMANDS: tuple[tuple[Marks, re.Pattern[str], Place | None], ...] = (
    (compile_marks("--"), _FLAG, None),
    (compile_marks("curl"), _USER, Place.MEMBER),
    (compile_marks("-H"), _FIELD, Place.FIELD),
    (compile_marks("login"), _NETRC, Place.MEMBER),
    (compile_marks(*PGPASS_MARKS), _PGPASS, Place.CODE),
    (compile_marks("jdbc:oracle", "sqlplus"), _ORACLE, Place.MEMBER),
    (compile_marks(" BY '", " by '", "PASSWORD '", "password '"), _SQL, Place.MEMBER),
    (compile_marks(" eq ", " EQ ", " ne ", " co ", " sw "), _FILTER, None),
    (compile_marks("contains(", "with("), _FUNCTION, None),
    (compile_marks("' eq ", "' EQ ", "' ne ", "' =", "' !", '" =', '" !', "'=="), _REVERSED, None),
    (compile_marks('("', "('", '(\\"'), _CALL, Place.CODE),
    *(((("-", program),), _password_flag(program, flag), Place.MEMBER) for program, flag in PASSWORD_FLAGS.items()),
    (compile_marks("PASS ", "AUTH ", "auth ", "LOGIN "), _PROTOCOL, Place.CODE),
    (compile_marks(*REDIS_WORDS, *map(str.upper, REDIS_WORDS)), _REDIS, Place.MEMBER),
    (compile_marks("ConvertTo-"), _SECURE_STRING, Place.MEMBER),
    (compile_marks(' "', ' \\"'), _KEYWORD, None),
    (compile_marks(',"', ', "', ',\\"'), _TUPLE, Place.CODE),
)
"""Marks of a command, its pattern, and the place of its value; None for the place of the text."""


def in_commands(text: str, decider: Decider, place: Place) -> str:
    """Replace secrets in flags, credentials and quoted fields of commands, and in calls with a name and a value."""
    for marks, pattern, command_place in _COMMANDS:
        if has_any(text, marks):
            text = _replaced(text, pattern, decider, command_place or place)
    return text


def _replaced(text: str, pattern: re.Pattern[str], decider: Decider, place: Place) -> str:
    """Replace the secrets a pattern matches; without a group `name`, each one is a password."""

    def value(found: re.Match[str]) -> str:
        name = found["name"] if "name" in pattern.groupindex else "password"
        return found["before"] + decider.replace(name, found["value"], place)

    return pattern.sub(value, text)
