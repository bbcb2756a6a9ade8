"""What a name says of its value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_policies.capture.secrets import names
from proxy_policies.capture.secrets.names import Grade, field_grade, grade, is_secret_name, may_be_secret_name

SECRET_NAMES = [
    "Authorization",
    "Cookie",
    "access_token",
    "accessToken",
    "X-Api-Key",
    "API_KEY",
    "PHPSESSID",
    "csrf-token",
]
PLAIN_NAMES = ["author", "keyboard", "Content-Type", "monkey", "key", "assessment", "max", "page", "tokenizer"]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_a_name_that_carries_secrets_is_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["yeniŞifre", "новыйПароль", "… sessionKey", "“licenseKey”", "新しいパスワード"])
def test_words_are_told_apart_by_case_in_any_script(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_a_name_that_only_looks_alike_is_left(name: str) -> None:
    assert not is_secret_name(name)


VOCABULARY = sorted(
    {*names.PASSWORDS, *names.TOKENS, *names.PERHAPS, *names.KEY_OWNERS, *names.FIELD_KEYS, *names.PAGING}
    | {*names.NEUTRAL, *names.HARMLESS, "key", "keys", "customer", "user", "x"}
)
parts = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=4)


@given(parts)
def test_case_and_what_joins_the_words_do_not_count(words: list[str]) -> None:
    snake = "_".join(words)
    spellings = ["-".join(words), snake.upper(), "-".join(map(str.title, words)), " ".join(words), f"a[{snake}]"[2:-1]]
    camel = words[0] + "".join(map(str.title, words[1:]))
    assert {grade(text) for text in (*spellings, camel, f"{snake}2", f"{snake}_")} == {grade(snake)}
    assert {field_grade(text) for text in spellings[:4]} == {field_grade(snake)}


@given(parts, st.sampled_from(["_", "-", "", "."]))
def test_no_name_of_a_secret_is_passed_over_at_little_cost(words: list[str], joint: str) -> None:
    name = joint.join(words)
    if grade(name) or field_grade(name):
        assert may_be_secret_name(f"<p data-{name.title()}=1>")


@given(parts, st.sampled_from(sorted(names.HARMLESS)))
def test_the_last_word_may_make_it_harmless(words: list[str], last: str) -> None:
    assert grade("_".join([*words, last])) is Grade.NONE


GRADES = {
    **{"new_password_confirmation": Grade.PASSWORD, "clientsecret": Grade.PASSWORD, "pin": Grade.PASSWORD},
    **{"session_id": Grade.TOKEN, "X-ApiToken": Grade.TOKEN, "private_key": Grade.TOKEN, "sessionid": Grade.TOKEN},
    **{"code": Grade.PERHAPS, "auth_blob": Grade.PERHAPS, "code_verifier": Grade.PERHAPS},
    **{"next_page_token": Grade.NONE, "nextpagetoken": Grade.NONE, "id": Grade.NONE, "": Grade.NONE, "1": Grade.NONE},
}


@pytest.mark.parametrize(("name", "expected"), GRADES.items(), ids=GRADES)
def test_a_name_has_a_grade(name: str, expected: Grade) -> None:
    assert grade(name) is expected


FIELDS = {
    **{"X-Functions-Key": Grade.TOKEN, "Surrogate-Key": Grade.NONE, "key": Grade.PERHAPS},
    **{"Access-Control-Allow-Credentials": Grade.NONE, "WWW-Authenticate": Grade.NONE, "Sec-WebSocket-Key": Grade.NONE},
}


@pytest.mark.parametrize(("name", "expected"), FIELDS.items(), ids=FIELDS)
def test_a_field_has_a_grade_of_its_own(name: str, expected: Grade) -> None:
    assert field_grade(name) is expected


def test_the_users_own_names_are_of_passwords() -> None:
    assert grade("customer-ref", ("CustomerRef",)) is Grade.PASSWORD
    assert grade("customer-ref-2", ("CustomerRef",)) is Grade.NONE
