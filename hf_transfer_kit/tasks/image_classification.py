"""Image classification: one picture in, one label out."""

import io
import struct
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, overload

from hf_transfer_kit.errors import DataError, did_you_mean
from hf_transfer_kit.models import check_kind, load, load_backbone, load_classifier
from hf_transfer_kit.plan import ModelSpec
from hf_transfer_kit.tasks.task import Row, Task, Vocabulary

if TYPE_CHECKING:
    import datasets
    import torch
    from PIL.Image import Image

    from hf_transfer_kit.duplicates import Pair

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
SHALLOW_SIZE = (16, 16)  # pixels; the raw-pixel control sees this much


class ImageClassification(Task):
    """One picture in, one label out: an image classifier of transformers.

    A picture is a PIL image, what an undecoded `datasets.Image` column holds ({"bytes": ..., "path": ...}), or a path.
    """

    name: ClassVar[str] = "image-classification"
    input_noun: ClassVar[str] = "image"
    shallow_name: ClassVar[str] = "raw pixels"
    learning_rate: ClassVar[float] = 1e-4
    pads: ClassVar[bool] = False
    inference_batch: ClassVar[int] = 16
    scratch_learning_rate: ClassVar[float] = 1e-3
    usual_input_columns: ClassVar[tuple[str, ...]] = ("image", "img", "picture", "photo", "pixel_values", "input")

    # --- the data ---------------------------------------------------------------------------------------------------

    def input_columns(self, features: "datasets.Features") -> list[str]:
        from datasets import Image

        return self.usual_first([name for name, kind in features.items() if isinstance(kind, Image)])

    def problem(self, value: Any) -> str | None:
        from PIL.Image import DecompressionBombError

        if value is None or (isinstance(value, Mapping) and not value.get("bytes") and not value.get("path")):
            return "is missing"
        try:
            with _open(value) as image:
                if image.mode == "F":
                    return "has floating-point pixels; save it with 8 bits a channel"
                image.draft(None, (1, 1))  # a JPEG is still read to its end, but only 1/64 of it is computed
                image.load()
        # What Pillow's readers raise on broken files of the formats above; SyntaxError is its word for a broken PNG.
        except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, DecompressionBombError) as error:
            reason = "not a picture of a known format" if "cannot identify" in str(error) else str(error)
            return f"cannot be read as an image: {reason}"
        return None

    def key(self, value: Any) -> Hashable:
        from hf_transfer_kit.duplicates import image_key

        return image_key(to_rgb(value))

    def digest(self, value: Any) -> bytes:
        if isinstance(value, Mapping) and value.get("bytes"):
            return bytes(value["bytes"])
        path = value.get("path") if isinstance(value, Mapping) else value
        if isinstance(path, str | Path):
            return Path(path).read_bytes()
        pixels: bytes = value.tobytes()
        return f"{value.mode} {value.size} ".encode() + pixels

    def near_duplicates(self, queries: Sequence[Any], corpus: Sequence[Any] | None = None) -> "list[Pair]":
        from hf_transfer_kit.duplicates import near_duplicate_images

        return near_duplicate_images(RgbImages(queries), None if corpus is None else RgbImages(corpus))

    def show(self, value: Any) -> str:
        path = value.get("path") if isinstance(value, Mapping) else getattr(value, "filename", value)
        if isinstance(path, str | Path) and str(path):
            name = "/".join(Path(path).parts[-2:])
            return name if len(name) <= 80 else "…" + name[-79:]
        if value is None or self.problem(value):
            return ""
        with _open(value) as image:
            return f"image of {image.width} x {image.height} pixels"

    def read_inputs(self, arguments: Sequence[str]) -> list[Any]:
        images = [{"bytes": None, "path": str(path)} for argument in arguments for path in _image_files(argument)]
        if not images:
            raise DataError("no image given; give image files, or folders of them.")
        for image in images:
            if problem := self.problem(image):
                raise DataError(f"'{image['path']}' {problem}; save it again as PNG or JPEG, or leave it out.")
        return images

    def shallow_features(self, inputs: Sequence[Any], vocabulary: Vocabulary | None) -> tuple[Any, Vocabulary]:
        import numpy as np

        small = [np.asarray(to_rgb(value).resize(SHALLOW_SIZE), dtype=np.float32).ravel() / 255 for value in inputs]
        return np.stack(small), vocabulary or Vocabulary()

    # --- the model --------------------------------------------------------------------------------------------------

    def check_model(self, model: ModelSpec) -> None:
        from transformers import AutoModelForImageClassification

        check_kind(AutoModelForImageClassification, model)
        self.load_processor(model)

    def load_processor(self, model: ModelSpec) -> Any:
        from transformers import AutoImageProcessor

        return load(AutoImageProcessor.from_pretrained, model)

    def load_backbone(self, model: ModelSpec) -> Any:
        from transformers import AutoModel

        return load_backbone(AutoModel, model)

    def load_classifier(
        self, model: ModelSpec, label_names: Sequence[str], processor: Any, *, pretrained: bool = True
    ) -> tuple[Any, list[str]]:
        from transformers import AutoModelForImageClassification

        return load_classifier(AutoModelForImageClassification, model, label_names, pretrained=pretrained)

    def encode(self, processor: Any, inputs: Sequence[Any], max_length: int) -> list[Row]:
        if not len(inputs):
            return []
        pixels = processor([to_rgb(value) for value in inputs], return_tensors="pt")["pixel_values"]
        return [{"pixel_values": image} for image in pixels]

    def length(self, row: Row) -> int:
        return 1

    def collate(self, processor: Any, rows: Sequence[Row]) -> "dict[str, torch.Tensor]":
        import torch

        return {"pixel_values": torch.stack([row["pixel_values"] for row in rows])}

    def pool(self, hidden: "torch.Tensor", batch: "Mapping[str, torch.Tensor]") -> "torch.Tensor":
        if hidden.dim() == 4:  # convolutional: (batch, channels, height, width)
            return hidden.mean(dim=(2, 3))
        return hidden.mean(dim=1) if hidden.dim() == 3 else hidden  # patches: (batch, patches, width)


def to_rgb(value: Any) -> "Image":
    """The picture `value` as a PIL image in RGB, 8 bits a channel, upright; pictures are converted nowhere else.

    The EXIF orientation is applied, transparent parts become white (their hidden colour is arbitrary, often black),
    and 16 bits a channel are scaled to 8 (Pillow alone would cut them off at 255).

    Args:
        value: a PIL image, {"bytes": ..., "path": ...}, the encoded bytes, or a path.

    Example:
        >>> from PIL import Image
        >>> to_rgb(Image.new("L", (2, 3), 7)).getpixel((0, 0))
        (7, 7, 7)
    """
    import numpy as np
    from PIL import Image, ImageOps

    with _open(value) as opened:
        image = ImageOps.exif_transpose(opened)
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


class RgbImages(Sequence["Image"]):
    """A view of pictures that converts each one when it is read, so that only one at a time is in memory."""

    def __init__(self, values: Sequence[Any]):
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    @overload
    def __getitem__(self, index: int) -> "Image": ...

    @overload
    def __getitem__(self, index: slice) -> "RgbImages": ...

    def __getitem__(self, index: int | slice) -> "Image | RgbImages":
        values = self._values[index]
        return RgbImages(values) if isinstance(index, slice) else to_rgb(values)

    def __iter__(self) -> "Iterator[Image]":
        return map(to_rgb, self._values)


def _open(value: Any) -> "Image":
    """A PIL image over `value`, not decoded yet where it comes from a file."""
    from PIL import Image

    if isinstance(value, Image.Image):
        return value.copy()  # the caller closes what it gets; the original stays usable
    content = value.get("bytes") if isinstance(value, Mapping) else value
    if isinstance(content, bytes | bytearray | memoryview):
        return Image.open(io.BytesIO(content))
    return Image.open(value["path"] if isinstance(value, Mapping) else value)


def _image_files(argument: str) -> list[Path]:
    """The file itself, or the pictures in a folder and its subfolders, sorted."""
    path = Path(argument)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise DataError(f"folder '{argument}' holds no image ({', '.join(IMAGE_SUFFIXES)}).")
        return files
    if not path.is_file():
        beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        way_out = did_you_mean(path.name, beside) if 0 < len(beside) <= 20 else "check the path."
        raise DataError(f"image '{argument}' does not exist; {way_out}")
    return [path]
