"""How deep to train: from the number of labels, corrected by similarity, complexity, compute, old skills, evidence.

    0 prompt or in-context   1 feature extraction   2 top layers   3 gradual unfreezing   4 all layers   5 from scratch

More labels never lead to less depth.
"""

from hf_transfer_kit.advisor.knowledge.situation import Situation

Rung = tuple[str, int]  # a method and its depth


def rungs(situation: Situation) -> list[Rung]:
    """The methods to take, the best one first; each next one needs less memory.

    Example:
        >>> from hf_transfer_kit.advisor.facts import TaskFacts
        >>> from hf_transfer_kit.advisor.knowledge.situation import situation_of
        >>> rungs(situation_of(TaskFacts(modality="text", n_labelled=5000)))
        [('top_layers', 2), ('features', 1)]
    """
    asked = _asked(situation)
    if asked is not None:
        prompt: list[Rung] = [(asked, 0)]
        return prompt if situation.size in ("zero", None) or situation.generative else [*prompt, ("features", 1)]
    depth = training_depth(situation)
    full = "gradual" if situation.keep_old_skills else "full"  # the same in the end, and gentler on what is known
    down: list[Rung] = [("scratch", 5)] if depth == 5 else []
    if situation.generative:
        down += [("lora", 4)] if situation.domain == "code" else []  # its models are too large for anything else
        last: Rung = ("few_shot" if situation.modality == "text" else "zero_shot", 0)
    else:
        last = ("features", 1)
    if not down or down[0][0] == "scratch":
        down += [(full, 4), ("lora", 4)] if depth >= 4 else []
        down += [("gradual", 3)] if depth >= 3 else []
        down += [("top_layers", 2)] if depth >= 2 else []
    return [*down, last]


def training_depth(situation: Situation) -> int:
    """1 to 5, by the ladder alone, as if memory were no matter."""
    wanted = _wanted(situation)
    return wanted if wanted == 1 else min(wanted, _most(situation))


def capped_by_processor(situation: Situation) -> bool:
    """Whether a GPU would have allowed more."""
    return situation.compute == "cpu" and _wanted(situation) > _most(situation)


def _wanted(situation: Situation) -> int:
    if situation.size not in ("middle", "large") or situation.frozen == "enough":
        return 1
    same, different = situation.similarity == "same", situation.similarity == "different"
    # Measured, and nothing said against frozen features: labels are few, or the rows too few to tell.
    served = situation.frozen == "unclear" or (situation.frozen is not None and situation.thin)
    short = (
        situation.frozen == "falls_short" and not situation.thin
    )  # measured: they do not reach, and labels are many
    easy = same and situation.complexity == "simple"
    cluster = situation.compute == "cluster"
    if situation.huge and different and cluster and not situation.keep_old_skills:
        return 5
    if situation.pixel_level or situation.frozen == "no_better":
        return 4
    if situation.size == "middle":
        return 2 + (different or short) - (easy or (served and not different))
    if not same or (situation.priority == "accuracy" and not situation.little_compute):
        return 4
    return 2 if (situation.little_compute or easy) and not short else 3


def _most(situation: Situation) -> int:
    return {"none": 1, "cpu": 3}.get(situation.compute or "", 5)


def _asked(situation: Situation) -> str | None:
    """The way to ask a model, where that comes before any training."""
    few, none_known = situation.size == "small", situation.size in ("zero", None)
    if situation.generative and (few or none_known or situation.compute == "none"):
        return "zero_shot" if none_known or situation.modality != "text" else "few_shot"
    if not situation.wordable:
        return None
    if situation.sparse:
        return "few_shot"
    if situation.size == "zero" or (situation.task == "search" and (few or none_known)):
        return "zero_shot"
    if situation.llm and situation.modality in ("text", None) and not situation.fast and (few or none_known):
        return "few_shot" if few else "zero_shot"
    return None
