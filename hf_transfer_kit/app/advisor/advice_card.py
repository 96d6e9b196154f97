"""An advice as two cards: what to do, and the reasons under it, the rest folded away."""

from hf_transfer_kit.advisor.advice import DEPTHS, Advice, ModelAdvice
from hf_transfer_kit.advisor.conversation.wording import METHODS
from hf_transfer_kit.app.markup import card, escape, items, note, section, table

MOST_REASONS = 4  # that are not folded away


def advice_card(advice: Advice | None) -> str:
    """What to do, as HTML; what will stand there where there is no advice yet."""
    if advice is None:
        return card('<p class="tk-quiet">The advice appears here as soon as the kind of task is known.</p>')
    method = METHODS.get(advice.method, advice.method)
    start = f" from {advice.models[0].name}" if advice.models else ""
    return card(
        f"<h3>{escape(method[0].upper() + method[1:] + start)}</h3>"
        f'<p class="tk-quiet">Depth {advice.depth} of 5: {escape(DEPTHS[advice.depth])}</p>'
        + "".join(note(each.text, "warning") for each in advice.warnings[:2])
    )


def reasons_card(advice: Advice | None) -> str:
    """Why, what would change it, and the rest folded away, as HTML; "" where there is no advice."""
    if advice is None:
        return ""
    reasons = [f"{each.text} ({each.rule}, {each.source})" for each in advice.reasons]
    settings = [[name.replace("_", " "), str(value)] for name, value in advice.hyperparameters.items()]
    guards = ", ".join(each.replace("_", " ") for each in advice.protections)
    others = [f"{METHODS.get(each.method, each.method)}: {each.text}" for each in advice.alternatives]
    return card(
        section("Why", items(reasons[:MOST_REASONS]))
        + section("What would change it", items(each.text for each in advice.flips))
        + section("Models to start from", _models(advice.models), folded=True)
        + section("Settings", table(["setting", "value"], settings) if settings else "", folded=True)
        + section("Protections", f"<p>{escape(guards)}</p>" if guards else "", folded=True)
        + section("More reasons", items(reasons[MOST_REASONS:]), folded=True)
        + section("More to be careful with", items(each.text for each in advice.warnings[2:]), folded=True)
        + section("How to measure", items((*_baseline(advice), *advice.evaluation)), folded=True)
        + section("Other ways", items(others), folded=True)
    )


def _baseline(advice: Advice) -> tuple[str, ...]:
    return (advice.baseline,) if advice.baseline else ()


def _models(models: tuple[ModelAdvice, ...]) -> str:
    rows = [
        [each.name, each.hub_id or "not on the Hub", _millions(each), _memory(each), each.licence] for each in models
    ]
    return table(["model", "Hub", "size", "memory", "licence"], rows) if rows else ""


def _millions(model: ModelAdvice) -> str:
    return "" if model.parameters is None else f"{model.parameters / 1e6:,.0f} M"


def _memory(model: ModelAdvice) -> str:
    return "" if model.memory_mib is None else f"{model.memory_mib / 1024:.1f} GiB"
