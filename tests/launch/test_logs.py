"""The end of a log: fast, whole lines, no secrets."""

import time

from hf_transfer_kit.events import EventWriter
from hf_transfer_kit.launch.logs import LogFollower, last_events, masked, tail

TOKEN = "hf_" + "aB3" * 11


def test_the_end_of_a_log_of_200_mb_is_there_at_once(tmp_path):
    path = tmp_path / "log.txt"
    with open(path, "wb") as file:
        file.truncate(200 * 2**20)  # a sparse file: long, but quickly made
        file.seek(0, 2)
        file.write(b"\n" + b"".join(b"line %d\n" % number for number in range(5000)))
    begun = time.perf_counter()
    lines = tail(path, most=1000).split("\n")

    assert time.perf_counter() - begun < 0.05
    assert lines[-2:] == ["line 4999", ""] and 80 < len(lines) < 120
    assert lines == [f"line {number}" for number in range(4999 - len(lines) + 2, 5000)] + [""]


def test_secrets_are_masked_wherever_the_cut_falls(tmp_path, monkeypatch):
    monkeypatch.setenv("TRANSFER_KIT_API_KEY", "my-own secret.*")
    monkeypatch.setenv("HF_TOKEN", "x")  # too short to look for
    path = tmp_path / "log.txt"
    path.write_text(f"{'a' * 600} {TOKEN} {'b' * 100} my-own secret.* {'c' * 300}")  # one endless line
    for most in range(1, 1200):
        shown = tail(path, most=most)
        assert min(most, 1055) <= len(shown) <= most + 512
        assert "aB3a" not in shown and "3aB3" not in shown and "secret" not in shown and "own" not in shown
    assert masked(f"a{TOKEN} {TOKEN}") == f"a{TOKEN} hf_{'*' * 33}"  # a word that only ends so is none
    assert "x" in masked("six")
    assert masked("python -m hf_transfer_kit.run") == "python -m hf_transfer_kit.run"  # the package's own name is none


def test_earlier_attempts_are_left_out_and_a_bar_shows_its_last_state(tmp_path):
    path = tmp_path / "log.txt"
    path.write_bytes(b"first attempt\nloading 10%\rloading 90%\r\nready\n")

    assert tail(path, start=14) == "loading 90%\nready\n"
    assert tail(path, start=10**6) == "" and tail(tmp_path / "none") == ""


def test_a_follower_gives_whole_lines_once_and_leaves_out_what_is_too_much(tmp_path):
    path = tmp_path / "log.txt"
    follower = LogFollower(path, most=100)
    assert follower.new() == []
    path.write_text(f"one\ntwo {TOKEN}\nthr")
    assert follower.new() == ["one", f"two hf_{'*' * 33}"]
    assert follower.new() == [] and follower.new(last=True) == ["thr"]
    with open(path, "a") as file:
        file.write("ee\n" + "x" * 1000 + "\nend\n")
    lines = follower.new()
    assert "bytes left out" in lines[0] and lines[-1] == "end"


def test_the_last_events_of_many_are_there_at_once(tmp_path):
    with EventWriter(tmp_path / "events.jsonl") as events:
        for number in range(3000):
            events.write("progress", stage="training", done=number, total=3000)
    found = last_events(tmp_path / "events.jsonl", most=2000)

    assert found[-1].done == 2999 and [e.done for e in found] == list(range(3000 - len(found), 3000))
    assert last_events(tmp_path / "none") == []
