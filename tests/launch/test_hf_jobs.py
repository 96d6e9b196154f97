"""HF Jobs against a server that answers as the Hub does; only the upload of the script, which is not plain HTTP, is
replaced by a note of it."""

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import HfApi
from typer.testing import CliRunner

from hf_transfer_kit.errors import OutputError, PlanError, RemoteError
from hf_transfer_kit.events import read_events
from hf_transfer_kit.launch import hf_jobs
from hf_transfer_kit.plan import DataSpec, Full, Majority, ModelSpec, TransferPlan

TOKEN = "hf_" + "Q" * 34
PLAN = TransferPlan(data=DataSpec(path="org/data"), model=ModelSpec(name="org/model"), approach=Full())
SAID = [
    json.dumps({"time": 5.0, "kind": "start", "message": "full, seed 0", "values": {}}),
    f"installing with {TOKEN}",
    json.dumps({"time": 6.5, "kind": "log", "stage": "training", "done": 3, "total": 4, "values": {"loss": 0.5}}),
    '{"some": "other line"}',
    json.dumps({"time": 7.0, "kind": "finish", "message": "test accuracy 0.9", "values": {}}),
]


class Hub(BaseHTTPRequestHandler):
    """What of the Hub a job needs; `server` remembers what it was asked."""

    def job(self, stage):
        owner = {"id": "1", "name": "ann", "type": "user"}
        return {"id": "abc123", "owner": owner, "status": {"stage": stage, "message": None}, "flavor": "t4-small"}

    def answer(self, content, status=200, kind="application/json"):
        body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/api/whoami-v2":
            self.answer({"name": "ann", "type": "user"})
        elif self.path.startswith("/api/jobs/ann/abc123/logs"):
            lines = [f"data: {json.dumps({'data': line, 'timestamp': 't'})}\n\n" for line in SAID]
            self.answer("".join(lines), kind="text/event-stream")
        else:
            self.answer(self.job(self.server.stage))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
        self.server.asked.append((self.path, body, self.headers["Authorization"]))
        if self.path.startswith("/api/buckets"):
            self.answer({"url": "https://huggingface.co/buckets/ann/jobs-artifacts", "id": "ann/jobs-artifacts"})
        elif self.server.refuses:
            self.answer({"error": "no credits"}, status=402)
        else:
            self.answer(self.job("SCHEDULING"))

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.asked, server.stage, server.refuses, server.uploads = [], "COMPLETED", False, []
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(HfApi, "batch_bucket_files", lambda self, **asked: server.uploads.append(asked["add"]))
    server.api = HfApi(endpoint=f"http://127.0.0.1:{server.server_port}", token=TOKEN)
    monkeypatch.setattr(hf_jobs, "_hub", lambda: server.api)
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def submitted(hub, folder):
    return hf_jobs.submit(PLAN, folder, flavor="t4-small", timeout="2h", repo="ann/result", api=hub.api)


def test_the_plan_is_submitted_as_a_script_with_its_machine_time_and_token(hub, tmp_path, capsys):
    job = submitted(hub, tmp_path)

    assert (job.id, job.namespace, job.repo) == ("abc123", "ann", "ann/result")
    assert hf_jobs.HubJob.load(tmp_path) == job
    path, spec, authorization = hub.asked[-1]
    assert path == "/api/jobs/ann" and authorization == f"Bearer {TOKEN}"
    assert (spec["flavor"], spec["timeoutSeconds"]) == ("t4-small", 7200)
    assert spec["command"][-4:] == ["/data/job.py", "--repo", "ann/result", "--events"]
    assert spec["secrets"] == {"HF_TOKEN": TOKEN}
    [[(script, _)]] = hub.uploads
    assert TransferPlan.load(tmp_path / "plan.yaml") == PLAN and json.dumps(PLAN.to_mapping()) in script.read_text()
    assert all(TOKEN not in file.read_text() for file in tmp_path.iterdir())


def test_what_the_job_says_lies_here_as_if_it_ran_here(hub, tmp_path, capsys):
    job = submitted(hub, tmp_path)

    for _ in range(2):  # a second look tells the same, not twice as much
        assert hf_jobs.follow(job, tmp_path, hub.api) == "COMPLETED"
        events = list(read_events(tmp_path / "events.jsonl"))
        assert [(e.kind, e.time, e.done) for e in events] == [("start", 5.0, 0), ("log", 6.5, 3), ("finish", 7.0, 0)]
        assert events[1].values == {"loss": 0.5}
        assert (tmp_path / "log.txt").read_text() == f"installing with hf_{'*' * 34}\n" + '{"some": "other line"}\n'


def test_the_command_follows_to_the_end_and_says_where_the_result_is(hub, tmp_path):
    from hf_transfer_kit.cli import app

    PLAN.save(tmp_path / "plan.yaml")
    arguments = ["run", str(tmp_path / "plan.yaml"), "--on", "hf-jobs", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*arguments, "--repo", "ann/result"])
    assert done.exit_code == 0 and "test accuracy 0.9" in done.output
    assert done.output.splitlines()[-1] == "https://huggingface.co/ann/result"

    assert isinstance(CliRunner().invoke(app, [*arguments, "--repo", "ann/result"]).exception, OutputError)
    assert isinstance(CliRunner().invoke(app, arguments).exception, PlanError)
    hub.stage = "ERROR"
    arguments[-1] = str(tmp_path / "other")
    failed = CliRunner().invoke(app, [*arguments, "--repo", "ann/result"]).exception
    assert isinstance(failed, RemoteError) and "ended as ERROR" in str(failed)


def test_what_the_hub_refuses_is_one_line_without_the_token(hub, tmp_path, capsys):
    hub.refuses = True
    with pytest.raises(RemoteError, match="the Hub refuses") as raised:
        submitted(hub, tmp_path)
    assert "\n" not in str(raised.value) and TOKEN not in str(raised.value)
    assert not (tmp_path / "hub_job.json").exists()  # the same call may try again


def test_a_hub_that_is_away_is_said_so(hub, tmp_path):
    with pytest.raises(RemoteError, match="the Hub cannot be reached"):
        hf_jobs.submit(PLAN, tmp_path, flavor="t4-small", timeout="2h", repo="ann/result",
                       api=HfApi(endpoint="http://127.0.0.1:9", token=TOKEN))  # fmt: skip


def test_files_of_this_machine_and_wrong_names_are_refused_before_anything_is_sent(hub, tmp_path):
    (tmp_path / "a.csv").write_text("text,label\n")
    local = TransferPlan(data=DataSpec(path=str(tmp_path / "a.csv")), approach=Majority())
    for plan, repo, words in (
        (local, "ann/result", "lies on this machine"),
        (replace(PLAN, model=ModelSpec(name=str(tmp_path))), "ann/result", "lies on this machine"),
        (PLAN, "result", "is no repository"),
        (PLAN, "ann/result/more", "is no repository"),
    ):
        with pytest.raises(PlanError, match=words):
            hf_jobs.submit(plan, tmp_path / "out", flavor="t4-small", timeout="2h", repo=repo, api=hub.api)
    assert hub.asked == [] and not (tmp_path / "out").exists()


def test_no_token_is_said_before_anything_is_sent(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(RemoteError, match="hf auth login"):
        hf_jobs.submit(PLAN, tmp_path, flavor="t4-small", timeout="2h", repo="ann/result",
                       api=HfApi(endpoint=hub.api.endpoint))  # fmt: skip
    assert hub.asked == []
