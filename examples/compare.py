"""The comparison from Python: frozen features and the top layers on the demo sentences."""

from pathlib import Path

from hf_transfer_kit import DataSpec, Features, ModelSpec, Study, TopLayers, Training, carry_out
from hf_transfer_kit.demo import demo_data

if __name__ == "__main__":  # each run has a process of its own, which imports this file
    study = Study(
        data=DataSpec(path=str(demo_data())),
        models=(ModelSpec(name="sentence-transformers/all-MiniLM-L6-v2"),),
        approaches=(Features(), TopLayers()),
        training=Training(epochs=4, min_steps=0),
        seeds=1,
    )
    comparison = carry_out(study, Path("runs/compare"))
    print(comparison.verdict)
    for arm in comparison.arms:
        print(f"{arm.name:15s} {arm.accuracy:.3f}  {arm.cost.train_seconds:.1f} s")
