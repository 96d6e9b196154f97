"""From what `--data` names to labelled train, validation and test rows: `labelled.load_data`."""
