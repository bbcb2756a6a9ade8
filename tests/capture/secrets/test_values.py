"""What a value looks like. Under a name that says what it is, no value that a generator draws is taken for a word."""

import base64
import random
import string
import uuid
from collections.abc import Callable

import pytest

from proxy_policies.capture.secrets.decider import Decider, Place
from proxy_policies.capture.secrets.rules import RedactionRules
from proxy_policies.capture.secrets.values import (
    is_label,
    is_plain,
    is_random,
    is_word_or_count,
    length_class,
    secret_kind,
)

Draw = Callable[[random.Random], str]
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
NANOID = string.ascii_letters + string.digits + "_-"


def urlsafe(size: int) -> Draw:
    return lambda draw: base64.urlsafe_b64encode(draw.randbytes(size)).rstrip(b"=").decode()


def drawn_of(alphabet: str, length: int) -> Draw:
    return lambda draw: "".join(draw.choices(alphabet, k=length))


def jwt(draw: random.Random) -> str:
    return ".".join([base64.urlsafe_b64encode(b'{"alg":"HS256"}').decode(), urlsafe(30)(draw), urlsafe(32)(draw)])


GENERATORS: dict[str, Draw] = {
    **{f"token_urlsafe({size})": urlsafe(size) for size in (8, 12, 16, 24, 32, 64)},
    **{f"token_hex({size})": drawn_of("0123456789abcdef", 2 * size) for size in (8, 16, 32)},
    "base64": lambda draw: base64.b64encode(draw.randbytes(24)).decode(),
    "uuid4": lambda draw: str(uuid.UUID(bytes=draw.randbytes(16), version=4)),
    "jwt": jwt,
    "nanoid": drawn_of(NANOID, 21),
    "ulid": lambda draw: "01" + drawn_of(CROCKFORD, 24)(draw),
    "snowflake": lambda draw: str(draw.randrange(10**17, 10**18)),
    "django": drawn_of(string.ascii_lowercase + string.digits, 32),
    "django csrf": drawn_of(string.ascii_letters + string.digits, 64),
    "flask": lambda draw: f"eyJfcGVybWFuZW50Ijp0cnVlfQ.{urlsafe(4)(draw)}.{urlsafe(20)(draw)}",
    "rails": lambda draw: f"{urlsafe(90)(draw)}--{urlsafe(12)(draw)}--{base64.b64encode(draw.randbytes(16)).decode()}",
    "php": drawn_of(string.digits + "abcdefghijklmnopqrstuv", 26),
    "php, six bits": drawn_of(string.ascii_letters + string.digits + "-,", 32),
    "express": lambda draw: f"s:{urlsafe(24)(draw)}.{base64.b64encode(draw.randbytes(32)).rstrip(b'=').decode()}",
    "Math.random": drawn_of(string.ascii_lowercase + string.digits, 11),
}
NAMES = ["csrf", "csrf_token", "sid", "session", "sessionid", "PHPSESSID", "access_token", "X-CSRF-Token", "password"]


@pytest.mark.parametrize("generator", GENERATORS)
def test_a_name_decides_for_every_value_of_a_generator(generator: str) -> None:
    draw = random.Random(generator)
    for _ in range(300):
        name, value = draw.choice(NAMES), GENERATORS[generator](draw)
        for is_response in (True, False):
            decider = Decider(RedactionRules(), lambda *_: "hidden", is_response)
            for place in (Place.MEMBER, Place.FIELD, Place.COOKIE):
                assert decider.replace(name, value, place) == "hidden", (name, value, place)


@pytest.mark.parametrize("generator", sorted(GENERATORS.keys() - {"snowflake"}))  # a number may be an id
def test_what_was_drawn_is_known_without_a_name(generator: str) -> None:
    draw = random.Random(generator)
    missed = [value for value in (GENERATORS[generator](draw) for _ in range(200)) if not is_random(value)]
    assert missed == []


NOT_DRAWN = (
    "preferences solarized-dark functional,analytics Europe/Berlin userSettings getElementById XMLHttpRequest "
    "Massachusetts INVALID_REQUEST in_progress internationalization how-to-write-a-regression-test "
    "my-blog-post-about-python 2026-11-28-release-notes product-1234-blue application/x-www-form-urlencoded "
    "camelCaseName Lebensversicherungsgesellschaft Benutzereinstellungen window.location.href x86_64-linux-gnu "
    "authorization_code bootstrap.bundle.min.js docker-compose-2024-v2 node_modules tailwindcss billingAddressLine2 "
    "UA-12345678-1 utm_campaign_autumn_sale_2026 INV-2026-000123 ABC-12345-XYZ New-York-City backup-2026-11-28T10 "
    "org.springframework.boot AuthenticationFailedException 20261128T101500Z America/Argentina/Buenos_Aires "
    "rgb-255-255-255 col-md-6-offset-2 MyComponent__button--primary mot-de-passe-oublie nike-air-max-90 "
    "en-US,en;q=0.9 12.3.1-rc.1+build.5 v1.2.3-beta.1 GA1.2.1234567890.1234567890 1920x1080 "
    "2026-11-28T10:15:00.000Z www.example-shop.co.uk 629226897294246040 "
)


@pytest.mark.parametrize("value", NOT_DRAWN.split())
def test_words_slugs_versions_and_dates_were_not_drawn(value: str) -> None:
    assert not is_random(value)


UNLUCKY = [
    *("Wz-zbpjD-jMLZkbxrVhyYQ", "Abcdefghijk", "Abcdefghijklmnopqrstuv", "a-b-cdefghijklmnopqrst", "abc-def-ghi"),
    *("/abcdefghijkLmnoqrstuvwx", "/Ab/cdefghij/mnoqrstuvwx", "ABCDEFGHIJK", "12345678", "abcdefab"),
    *("uploads/9f86d081884c7d659a2feaa0c55ad015.png", "aB3dE5gH7jK9mN2pQ4/x8Y2z.Ab"),
]


@pytest.mark.parametrize("value", UNLUCKY)
def test_a_value_that_only_looks_like_a_word_is_none(value: str) -> None:
    assert not is_label(value)
    assert not is_word_or_count(value)
    assert not is_plain(value)


WORDS = [
    *("Password", "Passwort", "Contraseña", "PIN", "Your password", "is too short", "Session:", "Mot de passe"),
    *("required", "anonymous", "unauthenticated"),
]


@pytest.mark.parametrize("value", WORDS)
def test_what_an_answer_says_about_a_secret_is_a_label(value: str) -> None:
    assert is_label(value)


PATHS = ["/login", "/api/v1/session", "/a/b.html", "orders/2026/11/30.json", "invoices/INV-2026-0042.pdf"]


@pytest.mark.parametrize("value", ["mac", "5", "99999", *PATHS, "may be left out"])
def test_no_token_is_a_short_word_a_count_or_a_path(value: str) -> None:
    assert is_word_or_count(value)


KINDS = {
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
    "uuid": "550e8400-e29b-41d4-a716-446655440000",
    "digits": "-12.50",
    "hex": "0123456789abcdef",
    "word": "hunter",
    "token": "eyJfcGVybWFuZW50Ijp0cnVlfQ.Zx1.abc",
    "text": "two words",
}


@pytest.mark.parametrize(("kind", "value"), KINDS.items(), ids=KINDS)
def test_a_kind_is_told(kind: str, value: str) -> None:
    assert secret_kind(value) == kind


def test_lengths_are_told_by_class() -> None:
    assert [length_class("a" * length) for length in (0, 8, 9, 512, 9999)] == [8, 8, 16, 512, 512]
