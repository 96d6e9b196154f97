"""The conversation: (state, message) -> (state, reply), a pure function. Nothing is kept but the state it returns."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hf_transfer_kit.advisor import rules
from hf_transfer_kit.advisor.advice import Advice, Question
from hf_transfer_kit.advisor.conversation import answers
from hf_transfer_kit.advisor.conversation.answers import Advise
from hf_transfer_kit.advisor.conversation.dialogue_state import MOST_UNDO, DialogueState, Moment, Reply
from hf_transfer_kit.advisor.conversation.wording import NAMES, Change, changes, describe, say, summary
from hf_transfer_kit.advisor.deciding.asking import askables
from hf_transfer_kit.advisor.facts import TaskFacts
from hf_transfer_kit.advisor.language.contradictions import facts_after
from hf_transfer_kit.advisor.language.questions import Asked
from hf_transfer_kit.advisor.language.reading import Found, Understood, understand
from hf_transfer_kit.errors import TransferKitError

DONT_KNOW = "I don't know"
OPENING = (
    'Describe your task in your own words, for example: "80 labelled chest x-rays, no GPU". You can correct what was '
    'understood at any time, and ask "why?", "why not full fine-tuning?", "what is EWC?", '
    '"what if I had 20k labels?", "show the plan", "undo" or "start again".'
)
_NOT_UNDERSTOOD = "That says nothing about the task that can be used here."


def reply(state: DialogueState, message: str, advise: Advise = rules.advise) -> tuple[DialogueState, Reply]:
    """The next state and what to answer; never raises on any message.

    Args:
        advise: facts to advice.

    Example:
        >>> state, answer = reply(DialogueState(), "80 labelled chest x-rays, no GPU")
        >>> answer.understood, answer.advice.method
        ('Understood: 80 labelled, images, x-ray, no GPU', 'features')
    """
    read = _quick_reply(state.question, message) or understand(
        message, state.question.fact if state.question else None, state.facts
    )
    kinds = {each.kind for each in read.questions}
    turns = state.turns + 1
    if "start_again" in kinds:
        return _finish(state, DialogueState(turns=turns), read, ["All facts are forgotten. " + OPENING], advise)
    if "undo" in kinds:
        return _undo(replace(state, turns=turns), read, advise)
    lines = list(read.notes)
    try:
        after = _next(state, read)
    except TransferKitError as error:  # two facts that TaskFacts refuses together
        return _finish(state, replace(state, turns=turns), Understood(), [*lines, str(error)], advise)
    if read.declined and state.question:
        name = NAMES.get(state.question.fact, state.question.fact)
        lines.append(f"Not known: {name}. The safer branch is kept, as if nothing was said about it.")
    lines += [
        f"Changed, {NAMES[each.fact]}: {say(each.fact, each.before)} -> {say(each.fact, each.value)}."
        for each in read.corrections
    ]
    lines += [f'Not understood: "{each}".' for each in read.not_understood if read.found or read.questions]
    for each in read.questions:
        lines.append(_answer(each, read, after, advise))
    if _is_empty(read):
        lines.append(_NOT_UNDERSTOOD if message.strip() else "The message is empty.")
        lines += [] if _is_enough(state) else [OPENING]
    return _finish(state, after, read, lines, advise)


def inform(
    state: DialogueState, facts: Mapping[str, Any], lines: Sequence[str] = (), advise: Advise = rules.advise
) -> tuple[DialogueState, Reply]:
    """The next state where something else than a message tells facts: the data, or a measurement.

    Args:
        facts: new values by name; what they contradict gives way.
        lines: to be said first.

    Example:
        >>> state, answer = inform(DialogueState(), {"modality": "text", "n_labelled": 18_000})
        >>> answer.advice.method
        'full'
    """
    known = replace(state.facts, **({"per_class": None} if "n_labelled" in facts else {}))
    return _finish(state, replace(state, facts=replace(known, **facts)), Understood(), list(lines), advise)


def _quick_reply(question: Question | None, message: str) -> Understood | None:
    """What a quick reply of the pending question means; None where the message is none."""
    if question is None:
        return None
    said = message.strip().casefold()
    askable = askables().get(question.fact)
    for each in askable.replies if askable else ():
        if each.text.casefold() == said:
            found = tuple(Found(fact=fact, value=value, words=message.strip()) for fact, value in each.facts.items())
            rounded = [say(fact, value) for fact, value in each.facts.items() if fact == "n_labelled" and value]
            return Understood(found=found, notes=tuple(f'"{each.text}" is taken as {words}.' for words in rounded))
    return None


def _next(state: DialogueState, read: Understood) -> DialogueState:
    """The state with what was understood; raises PlanError where the facts cannot be together."""
    pending = state.question.fact if state.question else None
    known = state.facts
    if pending == "n_labelled" and "per_class" in read.facts:
        known = replace(known, n_labelled=None)  # the answer takes the place of what was asked about
    facts = facts_after(known, read.facts)
    declined = tuple(each for each in state.declined if each not in read.facts)
    asked = state.asked
    if pending and (read.declined or _is_known(facts, pending)) and pending not in asked:
        asked += (pending,)
    if pending and read.declined and pending not in declined:
        declined += (pending,)
    past = state.past
    if facts != state.facts or declined != state.declined:
        moment = Moment(facts=state.facts, declined=state.declined, asked=state.asked, question=state.question)
        past = (*past, moment)[-MOST_UNDO:]
    return replace(state, facts=facts, declined=declined, asked=asked, turns=state.turns + 1, past=past)


def _is_known(facts: TaskFacts, fact: str) -> bool:
    return facts.labels is not None if fact in ("n_labelled", "per_class") else getattr(facts, fact, None) is not None


def _undo(state: DialogueState, read: Understood, advise: Advise) -> tuple[DialogueState, Reply]:
    """The state before the last change."""
    if not state.past:
        return _finish(state, state, read, ["There is nothing to undo."], advise)
    moment = state.past[-1]
    before = replace(
        state, facts=moment.facts, declined=moment.declined, asked=moment.asked, question=moment.question,
        past=state.past[:-1],
    )  # fmt: skip
    return _finish(state, before, read, ["Undone."], advise)


def _answer(asked: Asked, read: Understood, state: DialogueState, advise: Advise) -> str:
    """The answer to one question of the message."""
    if asked.kind == "help":
        return OPENING
    if asked.kind == "end":
        return "Good luck with it."
    if asked.kind == "what_is":
        return answers.what_is(asked.about)
    if not _is_enough(state):
        return "There is no advice yet to ask about; what is still missing is asked below."
    advice = _advice(state, advise)
    if asked.kind == "show_plan":
        return answers.show(advice)
    if asked.kind == "what_if":
        if read.supposed:
            return answers.what_if(state.facts, {each.fact: each.value for each in read.supposed}, advise)
        if answers.method_in(asked.about):
            return answers.why_not(advice, asked.about, advise)
        return 'Name the fact to suppose, for example "what if I had 20k labels?".'
    if asked.kind == "why" and not (answers.method_in(asked.about) or _names_model(advice, asked.about)):
        return answers.why(advice)
    return answers.why_not(advice, asked.about, advise)


def _names_model(advice: Advice, words: str) -> bool:
    return bool(words) and any(words in model.name.lower() for model in advice.models)


def _finish(
    before: DialogueState, after: DialogueState, read: Understood, lines: list[str], advise: Advise
) -> tuple[DialogueState, Reply]:
    """The reply, with the advice, what changed of it, and the next question."""
    enough = _is_enough(after)
    try:
        advice = _advice(after, advise)
    except TransferKitError as error:
        return after, Reply(text="\n".join(said := (*lines, str(error))), understood=_understood(after), said=said)
    change: tuple[Change, ...] = ()
    if enough and _is_enough(before):
        change = changes(_advice(before, advise), advice)
        if change:
            lines += ["The advice changes:", *map(str, change)]
        elif after.facts != before.facts:
            lines.append("The advice stays the same.")
    said = tuple(lines)
    ended = any(each.kind == "end" for each in read.questions)
    question = None if ended else _question(read, advice)
    news = change or not _is_enough(before) or (question is None and before.question is not None)
    if enough and news and not ended and not read.questions:
        lines.append(summary(advice))
    if question:
        lines.append(question.text)
    elif enough and news and not ended:
        lines.append('Nothing else would change the advice. "show the plan" prints all of it.')
    return replace(after, question=question), Reply(
        text="\n".join(lines), understood=_understood(after), question=question, advice=advice if enough else None,
        change=change, said=said, done=ended or (enough and question is None), ended=ended,
    )  # fmt: skip


def _advice(state: DialogueState, advise: Advise) -> Advice:
    return advise(state.facts, asked=state.asked)


def _question(read: Understood, advice: Advice) -> Question | None:
    """What contradicts itself is asked about first, then what matters most."""
    if read.contradictions:
        first = read.contradictions[0]
        usual = askables().get(first.facts[0])
        replies = first.replies or tuple(each.text for each in (usual.replies if usual else ()))
        return Question(fact=first.facts[0], text=first.text, replies=(*replies, DONT_KNOW))
    following = advice.next_question
    return following and replace(following, replies=(*following.replies, DONT_KNOW))


def _is_enough(state: DialogueState) -> bool:
    """Whether advice is more than a guess: what kind of task it is and how many labels there are, as far as known."""
    facts = state.facts
    kind = facts.task or facts.modality or facts.domain or {"task", "modality"} & set(state.declined)
    labels = facts.labels is not None or facts.llm or {"n_labelled", "per_class"} & set(state.declined)
    return bool(kind and labels)


def _understood(state: DialogueState) -> str:
    """All that is known and what is not, in one line."""
    known = describe(state.facts) or "nothing yet"
    unknown = ", ".join(NAMES.get(each, each) for each in state.declined)
    return f"Understood: {known}" + (f"; not known: {unknown}" if unknown else "")


def _is_empty(read: Understood) -> bool:
    return not (read.found or read.contradictions or read.questions or read.declined or read.notes)
