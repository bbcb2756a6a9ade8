"""Words that end the names of secrets."""

from proxy_policies.capture.secrets.placeholders import Placeholders
from proxy_policies.capture.secrets.secret_words import may_have_secret_word, secret_words


def test_stems_are_found_in_any_case_and_not_in_placeholders() -> None:
    placeholder = Placeholders(b"k" * 32).of("kJ8-7Qx9Zt4mPw2v")
    assert secret_words(f"a PASSWORD {placeholder} Token") == [(2, "passw"), (12 + len(placeholder), "token")]
    assert secret_words("İ token") == [(2, "token")]
    assert may_have_secret_word("My Api Key")
    assert not may_have_secret_word("the pin, the author")
