"""Why a job failed, in one sentence with a remedy."""

import pytest

from hf_transfer_kit.launch import failures
from hf_transfer_kit.launch.failures import explain

ELASTIC = """torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
  rank      : 1 (local_rank: 1)
  exitcode  : -9 (pid: 812)
  traceback : Signal 9 (SIGKILL) received by PID 812"""
CASES = [
    (1, "", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "memory", "batch_size"),
    (1, "", "RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory", "memory", "batch_size"),
    (2, "memory ran out; lower training.batch_size.", "anything", "memory", "batch_size"),
    (1, "", "OSError: [Errno 28] No space left on device", "disk", "make room"),
    (2, "the disk is full; make room.", "", "disk", "resume"),
    (1, "", ELASTIC, "memory", "a worker was killed by signal 9"),
    (1, "", ELASTIC.replace("-9", "-11"), "signal", "a worker was ended by signal 11 (SIGSEGV)"),
    (1, "", "RuntimeError: [gloo] Connection closed by peer [10.0.0.7]:29500", "worker", "worker or node was lost"),
    (1, "", "RendezvousConnectionError: The connection to the C10d store has failed", "worker", "node"),
    (-9, "", "", "memory", "killed by signal 9 (SIGKILL)"),
    (137, "", "", "memory", "killed by signal 9"),
    (-11, "", "", "signal", "SIGSEGV"),
    (1, "", "huggingface_hub.errors.LocalEntryNotFoundError: Cannot find an appropriate cached", "network", "network"),
    (1, "", "socket.gaierror: Temporary failure in name resolution", "network", "network"),
    (1, "", "RepositoryNotFoundError: 401 Client Error", "model", "hf auth login"),
    (2, "model 'bret' cannot be found on the Hub; did you mean 'bert'?", "Max retries exceeded", "kit", "bert"),
    (None, "", "", "lost", "resume"),
    (1, "[gloo] Connection closed by peer", ELASTIC, "memory", "a worker was killed"),
    (1, "[gloo] Connection closed by peer", "CUDA out of memory", "memory", "batch_size"),
    (1, "a bug", "Connection closed by peer\n exitcode  : -15 (pid: 1)", "kit", "a bug"),
    (1, "interrupted; start the same command again", "ValueError: a bug\n\n", "other", "ValueError: a bug"),
    (1, "", "", "other", "empty log"),
]


@pytest.mark.parametrize(("code", "error", "log", "kind", "words"), CASES, ids=[case[3] for case in CASES])
def test_the_cause_and_the_remedy_are_one_sentence(code, error, log, kind, words, tmp_path):
    failure = explain(code, error, log, tmp_path)

    assert failure.kind == kind and words in failure.sentence and "\n" not in failure.sentence


def test_a_full_disk_is_recognised_although_nothing_could_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(failures, "_is_full", lambda folder: True)

    assert explain(-7, "", "", tmp_path).kind == explain(None, "", "", tmp_path).kind == "disk"
