"""A word on the command line that mitmproxy would take for a flow filter. Pure: words in, text out."""

import re
from collections.abc import Sequence

BEGIN_FILTERS = ("~", "!", "(")
"""How a flow filter begins that is not a bare word, which mitmproxy takes for a part of the URL."""


def complaint(flow_filter: Sequence[str]) -> str:
    """Return what is wrong with the words that mitmproxy takes for its flow filter: all that follows the first of them.

    "" where they are one. A bare word is a filter to mitmproxy; here it is more likely an option without its dashes.
    """
    word = flow_filter[0].strip() if flow_filter else ""
    if not word or word.startswith(BEGIN_FILTERS):
        return ""
    is_setting = re.match(r"[a-z_]+=", word)
    meant = f"did you mean --set {word}?" if is_setting else f"a flow filter would be '~u {word}'"
    return f"unrecognized argument: {word}; {meant}"
