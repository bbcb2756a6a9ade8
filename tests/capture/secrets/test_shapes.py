"""Secrets that are known by their shape alone."""

import pytest

from proxy_policies.capture.secrets.shapes import in_shapes

RUN = "0123456789abcdefABCDEF0123456789abcdefABCDEF"
SHAPES = {
    "jwt": f"eyJ{RUN}.eyJ{RUN}.{RUN}",
    "jwe": f"eyJ{RUN}.{RUN}.{RUN}.{RUN}.{RUN}",
    "github": f"ghp_{RUN}",
    "github, fine-grained": f"github_pat_{RUN}",
    "gitlab": f"glpat-{RUN}",
    "stripe": f"sk_live_{RUN}",
    "stripe, hooks": f"whsec_{RUN}",
    "openai": f"sk-proj-{RUN}",
    "aws": "AKIA" + "ABCDEFGH01234567",
    "slack": f"xoxb-{RUN}",
    "google": f"AIza{RUN[:35]}",
    "google, access": f"ya29.{RUN}",
    "npm": f"npm_{RUN[:36]}",
    "pypi": f"pypi-{RUN}",
    "sendgrid": f"SG.{RUN[:22]}.{RUN}",
    "hugging face": f"hf_{RUN}",
    "shopify": f"shpat_{RUN[:16] * 2}",
    "databricks": f"dapi{'0123456789abcdef' * 2}",
    "vault": f"hvs.{RUN}",
    "Apache": f"$apr1$r31.....${RUN[:22]}",
    "bcrypt": f"$2y$05${RUN}./{RUN[:7]}",
    "SHA-512": f"$6$rounds=5000$salt${RUN}{RUN[:42]}",
    "yescrypt": f"$y$j9T$salt${RUN[:43]}",
    "Argon2": f"$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ${RUN}",
    "LDAP": f"{{SSHA}}{RUN}=",
    "Django": f"pbkdf2_sha256$600000$salt${RUN}=",
    "age": "AGE-SECRET-KEY-1" + "QPZRY9X8GF" * 5 + "2TVDW0S3",
    "PGP": "-----BEGIN PGP PRIVATE " + "KEY BLOCK-----\nMIIE\n-----END PGP PRIVATE " + "KEY BLOCK-----",
    "private key": "-----BEGIN PRIVATE " + "KEY-----\nMIIE\n-----END PRIVATE " + "KEY-----",
}


@pytest.mark.parametrize("secret", SHAPES.values(), ids=SHAPES)
def test_a_shape_is_found_whole(secret: str) -> None:
    text = f"see '{secret}' there"
    assert in_shapes(text, lambda _: "#") == "see '#' there"


def test_what_stands_behind_a_known_place_is_found() -> None:
    assert in_shapes(f"https://hooks.slack.com/services/{RUN}", lambda _: "#") == "https://hooks.slack.com/services/#"
    discord = "https://discord.test/api/webhooks/123456789012345678/"
    assert in_shapes(f"{discord}{RUN}", lambda _: "#") == "https://discord.test/api/webhooks/#"
    assert (
        in_shapes(f"https://x.test/webhookb2/{RUN}@{RUN}/In/{RUN}?a", lambda _: "#") == "https://x.test/webhookb2/#?a"
    )
    putty = "Encryption: none\r\nPrivate-Lines: {}Private-MAC: 0f"
    assert in_shapes(putty.format(f"2\r\n{RUN}\r\n{RUN}=\r\n"), lambda _: "#") == putty.format("#")
    assert in_shapes(f"https://api.test/bot123456:{RUN}/x", lambda _: "#") == "https://api.test/bot#/x"


@pytest.mark.parametrize(
    "text", ["ghost", "sk-learn", "high-five", "npm_config", "eyJ", "AKIA", "my-sk-button-label", "$1$2$3/a/b"]
)
def test_what_only_begins_alike_stays(text: str) -> None:
    assert in_shapes(text, lambda _: "#") == text
