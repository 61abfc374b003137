"""What Redis and its driver say, as what the runtime does next.

The code in front of an error reply decides; the driver takes some codes off and makes classes of
them, others it leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import edgestream as es

EXIT_PERMISSION = 77
EXIT_CONFIG = 78

_LATER = frozenset({"OOM", "MISCONF", "NOREPLICAS", "BUSY", "TRYAGAIN"})
"""The same call may do later."""
_ELSEWHERE = frozenset({"READONLY", "CLUSTERDOWN", "MASTERDOWN", "MOVED", "ASK"})
"""Another server may do, or this one after a change of roles."""


def code(error: Exception) -> str:
    """The code of an error reply: OOM, WRONGTYPE, ERR."""
    from redis import exceptions  # noqa: PLC0415 - only where a pipeline names the sink

    classes = {
        exceptions.OutOfMemoryError: "OOM",
        exceptions.TryAgainError: "TRYAGAIN",
        exceptions.ReadOnlyError: "READONLY",
        exceptions.ClusterDownError: "CLUSTERDOWN",
        exceptions.AskError: "ASK",
        exceptions.NoPermissionError: "NOPERM",
    }
    for kind, name in classes.items():
        if isinstance(error, kind):
            return name
    return str(error).partition(" ")[0]


def about_its_rows(error: Exception) -> str:
    """Why one command was refused; an error that is about more than its rows is raised."""
    from redis import exceptions  # noqa: PLC0415 - only where a pipeline names the sink

    everything = {"WRONGTYPE", "NOPERM", *_LATER, *_ELSEWHERE}
    if not isinstance(error, exceptions.ResponseError) or code(error) in everything:
        raise error
    return str(error)


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Turn the driver's errors into those of the contract, each naming ``place``."""
    from redis import exceptions  # noqa: PLC0415 - only where a pipeline names the sink

    try:
        yield
    except exceptions.AuthenticationError as error:
        words = "it wants a password, or another one; check `password` and the user in `url`"
        raise es.Disconnected(f"{place}: {words} ({error})") from error
    except exceptions.ResponseError as error:
        raise _answer(place, code(error), error) from error
    except (exceptions.RedisError, OSError) as error:
        words = "no connection; is Redis running there?"
        raise es.Disconnected(f"{place}: {words} ({error})") from error
    except (ValueError, RecursionError) as error:  # what the driver makes of a broken answer
        words = "what came is no answer of Redis; is another server at this address?"
        raise es.Disconnected(f"{place}: {words} ({str(error)[:100]})") from error


def _answer(place: str, name: str, error: Exception) -> es.ComponentError:
    if name in _LATER:
        return es.Retry(f"{place}: Redis takes no writes for now ({name}: {error})")
    if name in _ELSEWHERE:
        return es.Disconnected(f"{place}: this server takes no writes ({name}: {error})")
    if name == "NOPERM":
        return es.Fatal(f"{place}: this user may not do that ({error})", EXIT_PERMISSION)
    if name == "WRONGTYPE":
        hint = "the key holds another kind of value: delete it, or choose another key"
        return es.Fatal(f"{place}: {hint} ({error})", EXIT_CONFIG)
    return es.Fatal(f"{place}: Redis refuses ({error})", EXIT_CONFIG)
