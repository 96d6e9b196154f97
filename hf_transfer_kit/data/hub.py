"""Data sets of the Hugging Face Hub, with errors of one line."""

from pathlib import Path

import datasets
from datasets import DatasetDict
from datasets.naming import camelcase_to_snakecase
from huggingface_hub import HfApi, errors

from hf_transfer_kit.errors import DataError

# The base error of the HTTP library under the Hub client; the library itself has changed with the client's releases.
_NO_ANSWER: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]


def load_from_hub(name: str, config: str | None, revision: str | None) -> tuple[DatasetDict, str | None]:
    """(the splits of a data set, its commit); from the local cache, without a commit, where the Hub does not answer.

    Runs no code from the data set: `datasets` >= 4 has no such loading scripts any more.

    Raises:
        DataError: there is no such data set, config or revision, or the Hub cannot be reached.
    """
    what = f"data set '{name}'" + (f" (config '{config}')" if config else "")
    commit = None
    try:
        # Asked first, since load_dataset retries for 23 seconds where there is no network (datasets 5.2).
        commit = HfApi().dataset_info(name, revision=revision, timeout=10).sha
    except errors.RevisionNotFoundError as error:
        raise DataError(
            f"{what} has no revision '{revision}'; see its page on the Hub for branches and tags."
        ) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise DataError(
            f"'{name}' is neither a file or folder here nor a data set on the Hub that you may read; check the name, "
            "or log in with: hf auth login"
        ) from error
    except (_NO_ANSWER, OSError) as error:
        if not _is_cached(name):
            raise DataError(
                f"'{name}' is no file or folder here, and the Hub cannot be reached to look there ({error}); "
                "check the path, or connect to the network."
            ) from error
    try:
        found = datasets.load_dataset(name, config, revision=revision)
    except (_NO_ANSWER, datasets.exceptions.DatasetsError, OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"{what} cannot be loaded from the Hub: {reason}") from error
    return found, commit


def _is_cached(name: str) -> bool:
    """Whether `datasets` has prepared this set before; the folder is named as in datasets/load.py."""
    *owner, last = name.split("/")
    return Path(datasets.config.HF_DATASETS_CACHE, "___".join([*owner, camelcase_to_snakecase(last)])).is_dir()
