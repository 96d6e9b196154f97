"""What keeps a model from forgetting, and from overfitting."""

from hf_transfer_kit.advisor.knowledge.situation import Situation


def protections(situation: Situation) -> tuple[str, ...]:
    """The protections to use, in the order they are put in place.

    Old data at hand: replay. None, or not known: EWC, whose importances need data like the old ones, and L2-SP.
    For frozen features they matter once layers are opened.
    """
    depth, keep = situation.depth or 0, situation.keep_old_skills is True
    if depth <= 1 and not keep:
        return ()
    found = ["early_stopping", "weight_decay"]
    if keep or depth < 5:
        found.insert(1, "low_learning_rate")
    if keep:
        found.append("dropout")
    by_pixel = situation.task == "segmentation" and depth >= 4
    if keep or situation.method == "gradual" or by_pixel:
        found.append("gradual_unfreezing")
    if keep:
        found += ["replay"] if situation.old_data else ["ewc", "l2sp"]
    return tuple(found)
