"""A ranking in the terminal."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hf_transfer_kit.comparison.estimate import Estimate
from hf_transfer_kit.plan.specs import short_model_name
from hf_transfer_kit.reporting.quantities import accuracy, points, seconds, whole
from hf_transfer_kit.transferability.result import Candidate, Ranking
from hf_transfer_kit.transferability.verdict import LIMITS


def ranking_to_terminal(ranking: Ranking, details: bool = False) -> RenderableType:
    """The ranking for rich to print: the advice, the table, what to beware of; with `details` every layer's scores."""
    parts: list[RenderableType] = [Text(ranking.sentence, style="bold"), Text(), _table(ranking), Text()]
    parts += [Text(caution, style="yellow") for caution in ranking.cautions]
    parts += [Text(f"failed: {each.message}", style="red") for each in ranking.failures]
    if (curve := _curve_sentence(ranking)) is not None:
        parts.append(Text(curve))
    rows = f"{whole(ranking.rows)} training rows, {ranking.classes} classes, {seconds(ranking.seconds)}"
    parts.append(Text(f"{LIMITS} Measured on {rows}; no test label was read.", style="dim"))
    if details:
        parts += [_layer_table(candidate) for candidate in ranking.candidates]
    return Group(*parts)


def _table(ranking: Ranking) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    shallow = ranking.controls[-1].name
    table.add_column("model", no_wrap=True)
    table.add_column("layer")
    for name in ("accuracy", "ranks", f"over {shallow}", "over random", "ms each"):
        table.add_column(name, justify="right", no_wrap=name in ("accuracy", "ranks"))
    table.add_column("")
    for candidate in ranking.candidates:
        table.add_row(*_row(candidate, candidate.model.name == ranking.advised))
    for control in ranking.controls:
        table.add_row(control.name, "", _with_error(control.accuracy), style="dim")
    return table


def _row(candidate: Candidate, advised: bool) -> list[str]:
    low, high = min(candidate.ranks.values()), max(candidate.ranks.values())
    word = "advised" if advised else "level" if candidate.tied else ""
    if candidate.negative_transfer or candidate.negative_upper_layers:
        word = f"{word} negative".strip()
    elif candidate.unclear:
        word = f"{word} unclear".strip()
    return [
        short_model_name(candidate.model.name),
        candidate.layer,
        _with_error(candidate.accuracy),
        f"{low:g}" if low == high else f"{low:g} to {high:g}",
        _gain(candidate.over_shallow),
        _gain(candidate.over_random),
        f"{candidate.price.ms_per_row:.1f}",
        word,
    ]


def _with_error(estimate: Estimate) -> str:
    half = estimate.half_width
    return f"{accuracy(estimate.value, half)} ± {accuracy(half, half)}"


def _gain(estimate: Estimate | None) -> str:
    return "" if estimate is None else f"{'+' if estimate.value > 0 else ''}{points(estimate.value)}"


def _curve_sentence(ranking: Ranking) -> str | None:
    if ranking.curve is None:
        return None
    seen = ", ".join(f"{accuracy(point.accuracy)} with {whole(point.rows)}" for point in ranking.curve.points)
    ahead = ", ".join(
        f"{accuracy(each.accuracy.value)} ({accuracy(each.accuracy.low)} to {accuracy(each.accuracy.high)}) with "
        f"{whole(each.rows)}"
        for each in ranking.curve.forecasts
    )
    end = (
        "more labels will give these features little: train more of the model"
        if ranking.curve.saturated
        else "more labels still help"
    )
    return f"Learning curve: {seen} rows; expected {ahead}; {end}."


def _layer_table(candidate: Candidate) -> Table:
    table = Table(title=short_model_name(candidate.model.name), box=None, padding=(0, 2, 0, 0), title_justify="left")
    for name in ("layer", "width", "ridge", "kNN", "H-score", "LogME", "mean rank"):
        table.add_column(name, justify="right")
    for each in candidate.layers:
        table.add_row(
            each.layer, str(each.width), f"{each.ridge:.3f}", f"{each.knn:.3f}", f"{each.h_score:.2f}",
            f"{each.log_me:.3f}", f"{each.mean_rank:g}", style="bold" if each.layer == candidate.layer else "",
        )  # fmt: skip
    return table
