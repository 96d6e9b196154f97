"""The Space: the app of hf-transfer-kit, with settings from the environment."""

from hf_transfer_kit.app import Settings, launch

if __name__ == "__main__":
    launch(Settings.from_environment())
