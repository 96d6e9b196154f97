"""What the libraries raise when a model cannot be loaded, as one line that says what to do."""

import importlib
import textwrap

from huggingface_hub import get_session
from huggingface_hub.errors import HFValidationError, StrictDataclassError

from hf_transfer_kit.plan import ModelSpec

GATED = "is gated; accept its terms on its Hub page and log in with `hf auth login`."


def http_errors() -> type[Exception]:
    """The base error of the library that huggingface_hub speaks through and lets pass: httpx, httpx2 in newer ones."""
    library = importlib.import_module(type(get_session()).__module__.partition(".")[0])
    errors: type[Exception] = library.HTTPError
    return errors


def load_errors() -> tuple[type[Exception], ...]:
    """What transformers and its libraries raise on broken checkpoints, wrong settings and a failing network."""
    from safetensors import SafetensorError

    plain = (OSError, ValueError, LookupError, TypeError, AttributeError, ImportError, RuntimeError, ArithmeticError)
    return (*plain, SafetensorError, StrictDataclassError, HFValidationError, http_errors())


def explain(model: ModelSpec, error: Exception) -> str:
    """One line for what transformers says in many."""
    from safetensors import SafetensorError

    text = " ".join(str(error).split())
    lower = text.lower()
    name = f"model '{model.name}'" + (f" (revision {model.revision})" if model.revision else "")
    if "unrecognized configuration class" in lower:
        return f"{name} is of a kind that cannot do this task; choose a model made for this kind of input."
    if "gated repo" in lower:
        return f"{name} {GATED}"
    if "does not recognize this architecture" in lower:
        return f"{name} is of a kind that this transformers does not know; upgrade it, or choose another model."
    if "image processor" in lower or "preprocessor_config" in lower:
        return f"{name} has no image processor that can be read (preprocessor_config.json); choose an image model."
    if isinstance(error, SafetensorError):
        return f"{name} has damaged weights ({text}); copy or download them again."
    if "ignore_mismatched_sizes" in lower:
        return f"{name} has weights that do not fit its config.json; copy or download both again."
    if "safetensors" in lower:
        return (
            f"{name} has no safetensors weights, and pickle files are not read; use a revision or copy in safetensors."
        )
    if "trust_remote_code" in lower or "custom code" in lower:
        return (
            f"{name} needs code of its own to be run, which is off for safety; choose a model that transformers knows."
        )
    if "timm" in lower and isinstance(error, ImportError):
        return f"{name} is a timm model; install timm: pip install timm"
    return f"{name} cannot be loaded ({type(error).__name__}: {textwrap.shorten(text, 200, placeholder=' ...')})."
