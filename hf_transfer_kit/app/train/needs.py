"""What a plan will need, as a value and as a card of the page."""

from dataclasses import dataclass
from pathlib import Path

from hf_transfer_kit.app.markup import card, escape, note, section
from hf_transfer_kit.memory.estimate import size
from hf_transfer_kit.reporting.quantities import seconds
from hf_transfer_kit.values import check_format, from_mapping, read_json, to_mapping, write_json

NEEDS_FILE = "needs.json"
FORMAT, VERSION = "hf_transfer_kit.needs", 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a plan will need.

    Fields:
        memory: bytes on each process; 0: not estimated.
        parts: the sum that leads there, in words.
        free: bytes of memory that are free now.
        gpu: whether that is the memory of a GPU.
        processes: that each need as much.
        epoch_seconds: of one pass over the training data; 0: not estimated.
        forecast: of the whole run, in words.
        notes: why something is not estimated.
    """

    memory: int = 0
    parts: str = ""
    free: int = 0
    gpu: bool = False
    processes: int = 1
    epoch_seconds: float = 0.0
    forecast: str = ""
    notes: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether there is room; processes on one CPU share its memory."""
        return self.memory * (1 if self.gpu else self.processes) <= self.free

    def save(self, folder: Path) -> None:
        """Writes needs.json; raises as `write_json`."""
        write_json(folder / NEEDS_FILE, {"format": FORMAT, "version": VERSION} | to_mapping(self))

    @classmethod
    def load(cls, folder: Path) -> "Needs":
        """What needs.json says.

        Raises:
            FormatError: it is missing, broken or of another version.
        """
        where = str(folder / NEEDS_FILE)
        mapping = check_format(read_json(folder / NEEDS_FILE), name=FORMAT, version=VERSION, where=where)
        return from_mapping(cls, mapping, where)


def needs_card(needs: Needs) -> str:
    """The needs as HTML."""
    lines = []
    if needs.memory:
        share = " for each process" if needs.processes > 1 else ""
        where = "on the GPU" if needs.gpu else "on this machine"
        lines.append(
            f"<p><strong>Memory:</strong> {size(needs.memory)}{share}; {size(needs.free)} are free {where}.</p>"
        )
    if needs.epoch_seconds:
        lines.append(f"<p><strong>Time:</strong> about {seconds(needs.epoch_seconds)} an epoch.</p>")
    if needs.forecast:
        lines.append(f'<p class="tk-quiet">{escape(needs.forecast[:1].upper() + needs.forecast[1:])}.</p>')
    if needs.memory and not needs.fits:
        lines.append(note("That is more than is free: lower the batch size or raise the accumulation.", "warning"))
    lines += [f'<p class="tk-quiet">{escape(each)}</p>' for each in needs.notes]
    parts = section("Where the memory goes", f"<p>{escape(needs.parts)}</p>") if needs.parts else ""
    return card("".join(lines) + parts)
