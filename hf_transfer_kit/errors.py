"""Every error a user can meet.

TransferKitError            one line: the thing, the value, the way out; exit code 2 in the terminal
├── PlanError               a setting is wrong or contradicts another one
├── DataError               the data cannot be read, or cannot be learned from
├── ModelError              the model cannot be found, loaded, or is not of the needed kind
├── PromptError             a prompt cannot be read or rendered, or does not fit into the model
├── RemoteError             a remote model cannot be asked: no key, refused, unreachable, too expensive
├── FormatError             a plan, record or comparison file is broken or of an unknown version
├── OutputError             the output folder belongs to something else, or cannot be written
├── ResourceError           not enough disk or memory
├── UnsupportedSetupError   a setup the kit does not support; raised before the first step
└── MissingExtraError       an optional dependency is not installed
"""

from collections.abc import Iterable
from difflib import get_close_matches


class TransferKitError(Exception):
    """Base of all errors the kit raises on purpose; its message is one line for the user."""


class PlanError(TransferKitError, ValueError):
    """A setting is wrong or contradicts another one."""


class DataError(TransferKitError, ValueError):
    """The data cannot be read, or cannot be learned from."""


class ModelError(TransferKitError, ValueError):
    """The model cannot be found or loaded, or is not of the needed kind."""


class PromptError(TransferKitError, ValueError):
    """A prompt cannot be read or rendered, or does not fit into the model."""


class RemoteError(TransferKitError, OSError):
    """A remote model cannot be asked: no key, refused, unreachable, or it would cost more than allowed."""


class FormatError(TransferKitError, ValueError):
    """A plan, record, event or comparison file is broken or of an unknown version."""


class OutputError(TransferKitError, OSError):
    """The output folder belongs to something else, or cannot be written."""


class ResourceError(TransferKitError, OSError):
    """Not enough disk or memory for what was asked."""


class UnsupportedSetupError(TransferKitError, RuntimeError):
    """A setup the kit does not support; raised before the first training step."""


class MissingExtraError(TransferKitError, ImportError):
    """An optional dependency is not installed; the message says the pip command."""


def did_you_mean(value: str, options: Iterable[str]) -> str:
    """A clause that helps with an unknown name: the nearest option, else the list of all options.

    Example:
        >>> did_you_mean("txt", ["text", "label"])
        "did you mean 'text'?"
        >>> did_you_mean("zzz", ["text", "label"])
        'choose one of label, text.'
    """
    options = sorted(options)
    near = get_close_matches(value, options, n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else f"choose one of {', '.join(options)}."
