"""Whether a value is a secret: by its name, where it stands, and what it looks like, together."""

from dataclasses import dataclass

import pytest

from proxy_policies.capture.secrets.decider import Decider, Place, is_sweepable
from proxy_policies.capture.secrets.names import Grade
from proxy_policies.capture.secrets.rules import parse_rules

RANDOM = "Wz-zbpjD-jMLZkbxrVhyYQ"


def decider(*rules: str, is_response: bool = True) -> Decider:
    return Decider(parse_rules(rules), lambda secret, _: f"<{len(secret)}>", is_response)


@dataclass(frozen=True)
class Case:
    name: str
    value: str
    place: Place
    is_secret: bool
    is_response: bool = True


CASES = [
    Case("password", "summer", Place.MEMBER, True),
    Case("password", "Password", Place.MEMBER, False),
    Case("password", "Password", Place.MEMBER, True, is_response=False),
    Case("session", "expired", Place.MEMBER, False),
    Case("session", RANDOM, Place.MEMBER, True),
    Case("token", "12345", Place.MEMBER, False),
    Case("token", "123456", Place.MEMBER, True),
    Case("token", "2026-11-28", Place.MEMBER, False),
    Case("token_type", RANDOM, Place.MEMBER, False),
    Case("code", "not_found", Place.MEMBER, False),
    Case("code", RANDOM, Place.MEMBER, True),
    Case("theme", "dark", Place.COOKIE, False),
    Case("theme", RANDOM, Place.COOKIE, True),
    Case("theme", RANDOM, Place.MEMBER, False),
    Case("token", "getElementById", Place.CODE, False),
    Case("token", RANDOM, Place.CODE, True),
    Case("X-Functions-Key", "abcdefgh", Place.FIELD, True),
    Case("issueKey", "PROJ-123", Place.FIELD, False),
    Case("completion_tokens", "1234567", Place.MEMBER, False),
    Case("tokenAddress", f"0x{RANDOM}", Place.MEMBER, False),
    *(Case("password", mask, Place.MEMBER, False, is_response=False) for mask in ("********", "[FILTERED]", "${PW}")),
    *(Case("apiKey", mask, Place.MEMBER, False) for mask in ("sk_live_...abcd", "****1234", "xxxxxxxxxxxx", "0" * 32)),
    *(Case("password", value, Place.MEMBER, True, is_response=False) for value in ("xxxxxxxx", "***Q9x***", "<Q9x/7>")),
    *(
        Case(name, "Sommer-17", Place.MEMBER, True)
        for name in (
            *(
                "Benutzerkennwort",
                "новыйПароль",
                "ПАРОЛЬ",
                "用户密码",
                "新しいパスワード",
                "비밀번호",
                "hasło",
                "nytt_lösenord",
            ),
            *("contrasen\u0303a", "\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44"),  # NFD, full width
        )
    ),
    *(
        Case(name, RANDOM, Place.MEMBER, True)
        for name in (
            *("device_code", "client_assertion", "oauth_verifier", "backup_codes", "license_key", "sshKey", "clave"),
            *("security_answer", "oneTimeCode"),
        )
    ),
    Case("verification_code", "482913", Place.MEMBER, True),
    *(Case(name, "AB12-9XKQ-77", Place.MEMBER, False) for name in ("product_code", "objectKey", "resenha")),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.value[:8]}-{case.place.value}")
def test_name_place_and_look_decide(case: Case) -> None:
    found = decider(is_response=case.is_response).replace(case.name, case.value, case.place)
    assert found == (f"<{len(case.value)}>" if case.is_secret else case.value)


def test_what_is_around_a_value_can_make_it_a_secret() -> None:
    assert decider().replace("value", "summer", minimum=Grade.PASSWORD) == "<6>"


def test_a_placeholder_is_no_secret() -> None:
    placeholder = "secret_0123456789abcdef_hex032"
    assert decider().replace("password", placeholder) == placeholder


NUMBERS = {"pin": "1234", "session_id": "123456"}
NO_NUMBERS = {"pin": "1", "session_id": "12345", "max_tokens": "123456", "price": "123456"}


def test_a_number_is_a_secret_by_its_name_and_length() -> None:
    assert [decider().number(name, value) for name, value in NUMBERS.items()] == ["<4>", "<6>"]
    assert [decider().number(name, value) for name, value in NO_NUMBERS.items()] == [None] * 4
    assert decider().number("pin", "12.5") is None


def test_the_users_rules_come_first() -> None:
    assert decider("name:nickname").replace("nickname", "joe") == "<3>"
    assert decider("keep:session").replace("Session", RANDOM) == RANDOM
    assert decider("query:ref").replace("ref", "joe", Place.FIELD) == "<3>"


@pytest.mark.parametrize("secret", [RANDOM, "hunter2-Q9xZ", "a1B2c3D4", "s3cr3t!pass"])
def test_a_secret_like_nothing_else_is_swept(secret: str) -> None:
    assert is_sweepable(secret)


@pytest.mark.parametrize(
    "secret", ["short", "password", "Passwort", "12345678901", "2026-11-28", "http://a.test/", '{"a":1}']
)
def test_a_secret_that_may_be_there_by_chance_is_not(secret: str) -> None:
    assert not is_sweepable(secret)
