"""Secrets in command lines and calls that a text quotes: exactly their characters are replaced."""

import json

import pytest

from proxy_policies.capture.secrets.decider import Decider
from proxy_policies.capture.secrets.redact_message import MessageRedactor
from proxy_policies.capture.secrets.rules import RedactionRules

S = "Wz-zbpjD-jMLZkbxrVhyYQ"
PASSWORD = "Zq7!hunter/2"
COMMANDS = {
    "flag": "run --city Bonn --password § --verbose",
    "flag with a sign": "run --api-key=§ --city=Bonn",
    "curl's user": "curl -u bob:§ http://a.test/",
    "curl's user in quotes": "curl --user 'bob:§' http://a.test/",
    "curl's field": "curl -H 'X-Api-Key: §' -H 'Accept: text/html' http://a.test/",
    "netrc": "machine a.test login bob password §",
    "netrc's default": "default login bob\npassword §\n",
    "assignment of a hash": "'password' => '§', 'city' => 'Bonn'",
    "connection string": "host=db port=5432 user=bob password=§ sslmode=require",
    "URL of a database": "DATABASE_URL=postgres://bob:§@db:5432/shop?sslmode=require",
    "URL of Oracle's": "jdbc:oracle:thin:scott/§@//db.test:1521/x",
    "Oracle's client": "sqlplus -s scott/§@db.test",
    "SQL": "ALTER USER bob IDENTIFIED BY '§'",
    "SQL of a role": "CREATE ROLE bob WITH LOGIN PASSWORD '§'",
    "MySQL": "mysqldump -uroot -p§ shop",
    "sshpass": "sshpass -p '§' ssh bob@a.test",
    "Redis": "redis-cli -h a.test -a § ping",
    "registry": "docker login -u bob -p § a.test",
    "LDAP": "ldapsearch -x -D cn=admin -w § -b dc=a",
    "SMB": "smbclient //a/b -U bob%§",
    "htpasswd": "htpasswd -cb users bob §",
    "OpenSSL": "openssl rsa -in a.pem -passin pass:§",
    "PowerShell": 'ConvertTo-SecureString "§" -AsPlainText -Force',
    "Clojure": '{:user "bob" :password "§"}',
    "a function of OData": "/users?$filter=startswith(password, '§')",
    "a comparison with the value first": "'§' eq password and name eq 'bob'",
    "the same in code": 'if ("§" === token) { f("bob" === name) }',
    "the same in SQL": "SELECT id FROM users WHERE name = 'bob' AND '§' = password",
    "Redis' setting": "CONFIG SET requirepass §",
    "Redis' file": "port 6379\nmasterauth §\nrequirepass §\n",
    "Redis' access list": "ACL SETUSER bob on >§ ~* +@all",
    "kubectl": "kubectl config set-credentials bob --token=§",
    "OData": "/users?$filter=name eq 'bob' and password eq '§'",
}
STAYS = [
    "docker run -u 1000:1000 --name web --token-type bearer image",
    "git commit --no-verify --author=bob",
    "the login page, its password field",
    "def f(password, name): return password == name",
    "jdbc:oracle:thin:@//db.test:1521/x and jdbc:postgresql://db.test/x",
    "name eq 'password' and city eq 'Bonn'",
    "mysql -u root -p shop",
    "yield token, 'sha256'; f(password, '#pop:3')",
    "a.test:5432:shop:bob:summer and 12:5432:x",
    "docker run -p 127.0.0.1:80:80 image; docker login",
    "PASS tests/shop/test_login.py",
    "'bob' eq name and 'summer' == season",
    "AUTH required; auth is needed\nauth successful for session\nrequirepass is a setting\n",
    "the AUTH command failed for userABC123xyz9",
    "a --password-file /run/x --cookie-domain a.test",
]


def redacted(text: str, mime: str) -> str:
    redactor = MessageRedactor(Decider(RedactionRules(), lambda *_: "~", is_response=False))
    return redactor.content(text.encode(), mime).decode()


@pytest.mark.parametrize("secret", [S, PASSWORD])
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_secret_goes_from_a_command(command: str, secret: str) -> None:
    secret = secret.replace("/", "%2F") if "://" in command else secret
    secret = S if "X-Api-Key" in command else secret
    assert redacted(command.replace("§", secret), "text/plain") == command.replace("§", "~")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_secret_goes_from_a_command_in_json(command: str) -> None:
    def written(secret: str) -> str:
        return json.dumps({"id": 7, "steps": [{"run": command.replace("§", secret)}]})

    assert redacted(written(S), "application/json") == written("~")


@pytest.mark.parametrize(
    "command", ["AUTH §", "AUTH bob '§'", "auth §", "HELLO 3 AUTH bob §", "a1 LOGIN bob §", "PASS §"]
)
def test_a_line_of_a_client_ends_with_a_password(command: str) -> None:
    text = f"PING\n{command}\r\nQUIT\n"
    assert redacted(text.replace("§", S), "text/plain") == text.replace("§", "~")


@pytest.mark.parametrize("mime", ["text/plain", "application/json"])
def test_a_line_of_pgpass_ends_with_a_password(mime: str) -> None:
    def written(secret: str) -> str:
        text = f"db.test:5432:shop:bob:{secret}\n*:*:*:alice:{secret}\n"
        return json.dumps({"file": text}) if "json" in mime else text

    assert redacted(written(S), mime) == written("~")


@pytest.mark.parametrize("text", STAYS)
@pytest.mark.parametrize("mime", ["text/plain", "application/json", "text/html"])
def test_what_only_looks_like_one_stays(text: str, mime: str) -> None:
    assert redacted(text, mime) == text


def test_items_of_a_list_are_flags_and_their_values() -> None:
    assert redacted(json.dumps(["run", "--city", "Bonn", "--password", S]), "application/json") == json.dumps(
        ["run", "--city", "Bonn", "--password", "~"]
    )


def test_calls_take_a_name_and_its_value() -> None:
    script = 'localStorage.setItem("token", "§"); t("password", "Your password"); set("city", "Bonn")'
    assert redacted(script.replace("§", S), "text/javascript") == script.replace("§", "~", 1)
