"""What librdkafka says, in words of people who run a pipeline, not of people who write a client."""

import re
from typing import Final

# Whoever reads this wants to know which address, and what is the matter with it.
_PLAIN: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r" \(after \d+ms in state \w+(?:, \d+ identical error\(s\) suppressed)?\)", ""),
        (r"^(?:\w+://)?\S+/(?:bootstrap|\d+|\w*[Cc]oordinator): ", ""),
        (r"^Failed to get metadata: ", ""),
        (r"^Connect to ipv[46]#(\S+) failed: Connection refused$", r"\1 refuses connections"),
        (r"^Connect to ipv[46]#(\S+) failed: (.+)$", r"\1 can't be reached: \2"),
        (r"^Failed to resolve '([^']+)': .*$", r"\1 is no host that is known here"),
        (r"^Local: Broker transport failure$", "no connection to a broker"),
        (r"^Local: Timed out$", "no answer in time"),
        (r"^Local: ", ""),
    )
)


def plain(text: str) -> str:
    """Return an error's text without the client's inner workings."""
    for pattern, words in _PLAIN:
        text = pattern.sub(words, text)
    return text
