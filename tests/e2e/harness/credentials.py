"""The keys of the suite. Each is a canary too: none may be seen where it must not go."""

ONE = "secret-one"
TWO = "secret-two"
RESERVED = "a+b c%d;e&f=g#h"  # every byte that a query gives a meaning to
LATIN = "clé-ü"  # one byte a letter as a field carries it, two as a query does
WRONG = "wrong-key"
# What RESERVED becomes when its `+` is taken for a space, as a query takes it.
RESERVED_MISREAD = "a b c%d;e&f=g#h"

# Keys in places that are no credential of the agent server's: `SESSION_API_KEY=`, a path, another
# parameter's value. They are another application's data, so the gateway forwards them as they came
# and the agent server prints them. With keys of their own they cannot hide the leak of another.
STRAY = "stray-valid"
STRAY_WRONG = "stray-invalid"

ACCEPTED = [ONE, TWO, RESERVED, LATIN, STRAY]
NEVER_PRINTED_BY_GATEWAY = [ONE, TWO, RESERVED, RESERVED_MISREAD, LATIN, WRONG, STRAY, STRAY_WRONG]
NEVER_SEEN_BY_AGENT_SERVER_LOG = [ONE, TWO, RESERVED, RESERVED_MISREAD, LATIN, WRONG]
