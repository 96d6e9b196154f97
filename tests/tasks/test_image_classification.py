"""Image classification: what it makes of a column, a picture in any mode, and command-line arguments."""

import io

import datasets
import numpy as np
import pytest
from PIL import Image

from hf_transfer_kit.errors import DataError
from hf_transfer_kit.tasks.image_classification import ImageClassification, to_rgb

task = ImageClassification()
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8))


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return {"bytes": buffer.getvalue(), "path": None}


def test_image_columns_can_be_inputs_and_usual_names_come_first():
    features = {"mask": datasets.Image(), "text": datasets.Value("string"), "img": datasets.Image(decode=False)}
    assert task.input_columns(datasets.Features(features)) == ["img", "mask"]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_every_mode_becomes_rgb(mode):
    value = encoded(Image.new("L", (3, 2), 255).convert(mode) if mode != "I;16" else Image.new(mode, (3, 2), 65535))
    assert task.problem(value) is None
    image = to_rgb(value)
    assert (image.mode, image.size, image.getpixel((0, 0))) == ("RGB", (3, 2), (255, 255, 255))


def test_cmyk_becomes_rgb():
    image = to_rgb(encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "JPEG"))
    assert (image.mode, image.getpixel((4, 4))) == ("RGB", (255, 255, 255))


def test_sixteen_bits_are_scaled_and_not_cut_off():
    grey = Image.fromarray(np.array([[0, 256, 257, 32896, 65535]], dtype=np.uint16))
    assert np.asarray(to_rgb(encoded(grey)))[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def test_transparent_parts_become_white():
    drawing = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    drawing.putpixel((1, 0), (10, 20, 30, 255))
    assert np.asarray(to_rgb(encoded(drawing))).tolist() == [[[255, 255, 255], [10, 20, 30]]]


def test_the_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to the right
    turned = to_rgb(encoded(NOISE, exif=exif))
    np.testing.assert_array_equal(np.asarray(turned), np.rot90(np.asarray(NOISE), -1))


def test_a_picture_can_be_given_in_any_form(tmp_path):
    NOISE.save(tmp_path / "x.png")
    path = str(tmp_path / "x.png")
    for value in (NOISE, encoded(NOISE), encoded(NOISE)["bytes"], path, {"bytes": None, "path": path}):
        np.testing.assert_array_equal(np.asarray(to_rgb(value)), np.asarray(NOISE))
    assert NOISE.getpixel((0, 0))  # still open


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_a_file_that_was_cut_off_has_a_problem_wherever_the_cut_is(kind):
    content = encoded(NOISE, kind)["bytes"]
    assert task.problem({"bytes": content, "path": None}) is None
    for length in (0, 1, 10, len(content) // 2, len(content) - 60):
        problem = task.problem({"bytes": content[:length], "path": "x"})
        assert problem is not None and problem.startswith("cannot be read as an image"), length


@pytest.mark.parametrize("value", [None, {"bytes": None, "path": None}, {"bytes": b"", "path": None}])
def test_nothing_is_missing(value):
    assert task.problem(value) == "is missing"


def test_a_missing_file_and_floating_point_pixels_have_a_problem():
    assert "No such file" in str(task.problem({"bytes": None, "path": "/none.png"}))
    assert "8 bits a channel" in str(task.problem(encoded(Image.new("F", (2, 2)), "TIFF")))


def test_the_key_is_that_of_the_pixels_and_the_digest_that_of_the_file(tmp_path):
    png, bmp = encoded(NOISE), encoded(NOISE, "BMP")
    assert task.key(png) == task.key(bmp)
    assert task.digest(png) != task.digest(bmp)
    (tmp_path / "x.png").write_bytes(png["bytes"])
    assert task.digest({"bytes": None, "path": str(tmp_path / "x.png")}) == task.digest(png)
    assert task.digest(NOISE) != task.digest(NOISE.transpose(Image.Transpose.ROTATE_180))


def test_near_copies_are_found_through_another_format():
    first, other = (NOISE.crop(box).resize((90, 120)) for box in ((0, 0, 6, 8), (6, 8, 12, 16)))
    pairs = task.near_duplicates([encoded(first)], [encoded(other), encoded(first, "JPEG", quality=95)])
    assert [(pair.query, pair.corpus) for pair in pairs] == [(0, 1)]


def test_show_names_the_file_or_the_size():
    assert task.show({"bytes": None, "path": "/data/train/cat/x.png"}) == "cat/x.png"
    assert len(task.show({"bytes": None, "path": "/data/" + "y" * 200 + ".png"})) == 80
    assert task.show(NOISE) == task.show(encoded(NOISE)) == "image of 30 x 40 pixels"
    assert task.show({"bytes": b"broken", "path": None}) == task.show(None) == ""


def test_inputs_are_files_and_folders_of_them(tmp_path):
    for name in ("b.png", "deep/a.jpg", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        NOISE.save(tmp_path / name) if name != "notes.txt" else (tmp_path / name).write_text("x")
    paths = [value["path"] for value in task.read_inputs([str(tmp_path), str(tmp_path / "b.png")])]
    assert paths == [str(tmp_path / name) for name in ("b.png", "deep/a.jpg", "b.png")]


def test_inputs_that_cannot_be_read_say_what_to_do(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "photo.png").write_text("broken")
    cases = {"photos.png": "did you mean 'photo.png'", "empty": "holds no image", "photo.png": "save it again as PNG"}
    for name, words in cases.items():
        with pytest.raises(DataError, match=words):
            task.read_inputs([str(tmp_path / name)])


def test_raw_pixels_are_small_and_between_0_and_1():
    black, white = Image.new("L", (100, 50), 0), encoded(Image.new("L", (3, 3), 255))
    features, vocabulary = task.shallow_features([black, white], None)
    assert features.shape == (2, 16 * 16 * 3)
    assert features[0].tolist() == [0.0] * 768 and features[1].tolist() == [1.0] * 768
    assert vocabulary.terms == ()
