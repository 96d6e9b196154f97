"""Writing to the Hub: whose account it is, names of repositories, and what the Hub refuses in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hf_transfer_kit.errors import PlanError, RemoteError
from hf_transfer_kit.launch.logs import masked

if TYPE_CHECKING:
    from huggingface_hub import HfApi

LONGEST = 300  # letters of what the Hub says that are shown


def hub() -> "HfApi":
    """The Hub, or the server that HF_ENDPOINT names."""
    from huggingface_hub import HfApi

    return HfApi()


def token_of(api: "HfApi", what: str) -> str:
    """The token in use: that of `api`, of the environment, or of a login.

    Args:
        what: needs it, for the message: "a job on the Hub".

    Raises:
        RemoteError: there is none.
    """
    from huggingface_hub import get_token

    token = api.token if isinstance(api.token, str) else get_token()
    if not token:
        raise RemoteError(f"{what} needs a token; run `hf auth login`, or set HF_TOKEN.")
    return token


def check_repo(repo: str, why: str) -> None:
    """Raises PlanError where `repo` is no ORG/NAME; `why` ends the message: "where the result goes"."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    owner, _, name = repo.partition("/")
    try:
        validate_repo_id(repo)
    except HFValidationError:
        owner = ""
    if not owner or not name:
        raise PlanError(f"--repo '{repo}' is no repository; give ORG/NAME, {why}.")


@contextmanager
def said_by_the_hub(way_out: str) -> Iterator[None]:
    """What the Hub refuses, in one line and without secrets.

    Args:
        way_out: what to look at where it refuses: "check the credits of the account".

    Raises:
        RemoteError: the Hub refuses, or cannot be reached.
    """
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    from hf_transfer_kit.model_errors import http_errors

    try:
        yield
    except (HfHubHTTPError, ValueError) as error:
        said = masked(" ".join(str(error).split()))[:LONGEST]
        raise RemoteError(f"the Hub refuses: {said}; {way_out}.") from error
    except (OfflineModeIsEnabled, http_errors(), OSError) as error:
        raise RemoteError(f"the Hub cannot be reached ({masked(str(error))[:200]}); check the network.") from error
