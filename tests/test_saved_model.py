import hashlib

from hf_transfer_kit.saved_model import file_sha256, model_files, weights_hash


def test_the_hash_changes_with_any_file_that_answers_and_not_with_the_card(tmp_path):
    assert weights_hash(tmp_path / "model") == ""

    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "head.safetensors").write_bytes(b"1")
    first = weights_hash(tmp_path / "model")
    (tmp_path / "model" / "README.md").write_text("a card")
    assert weights_hash(tmp_path / "model") == first and len(first) == 12

    (tmp_path / "model" / "head.safetensors").write_bytes(b"2")
    second = weights_hash(tmp_path / "model")
    (tmp_path / "model" / "head.safetensors").rename(tmp_path / "model" / "tail.safetensors")
    third = weights_hash(tmp_path / "model")
    assert len({first, second, third}) == 3


def test_the_card_is_no_file_of_the_model(tmp_path):
    (tmp_path / "README.md").write_text("a card")
    (tmp_path / "b.json").write_text("{}")

    assert [file.name for file in model_files(tmp_path)] == ["b.json"]
    assert file_sha256(tmp_path / "b.json") == hashlib.sha256(b"{}").hexdigest()
