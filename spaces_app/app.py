"""The Space: the app of hf-transfer-kit, with settings from the environment."""

from pathlib import Path

from huggingface_hub import metadata_load

from hf_transfer_kit.app import Settings, launch


def is_duplicate(card: Path) -> bool:
    """Whether this Space is somebody's copy: the Hub notes where it comes from in the card of a copy."""
    return "duplicated_from" in (metadata_load(card) or {})


if __name__ == "__main__":
    launch(Settings.from_environment(duplicated=is_duplicate(Path(__file__).with_name("README.md"))))
