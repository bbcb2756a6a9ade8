"""Numbers in place of secret ones in JSON, as clients expect numbers there; requests may have them again."""

from dataclasses import replace

from proxy_policies.capture.model import Entry, Response
from proxy_policies.capture.secrets.placeholders import as_digits, fill_numbers, identity

_MAX_DIGITS = 18  # of any integer of 64 bits


def stand_in(placeholder: str) -> str:
    """Return the number for the placeholder of one: always the same, with the most digits of its length class.

    One of 16 digits is exact as a floating-point number, as JavaScript has.
    """
    least = 10 ** (min(int(placeholder[-3:]), _MAX_DIGITS) - 1)
    return str(least + int(identity(placeholder).removeprefix("secret_"), 16) % (8 * least))


def with_numbers(entry: Entry, stand_ins: dict[str, str]) -> Entry:
    """Return an entry with numbers in place of secret ones in its responses; add them to the placeholders by number."""

    def number_for(placeholder: str) -> str:
        number = stand_in(placeholder)
        stand_ins[number] = as_digits(placeholder)
        return number

    def filled(response: Response) -> Response:
        content = fill_numbers(response.body.content, number_for)
        if content == response.body.content:
            return response
        return replace(response, body=replace(response.body, content=content, wire=None))

    messages = [
        message if message.from_client else replace(message, data=fill_numbers(message.data, number_for))
        for message in entry.messages
    ]
    origin = filled(entry.origin) if entry.origin else None
    return replace(entry, response=filled(entry.response), origin=origin, messages=tuple(messages))
