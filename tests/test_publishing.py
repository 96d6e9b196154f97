"""Pushing against a server that answers as the Hub does, so that what is sent can be looked at byte by byte."""

import base64
import hashlib
import json
import shutil
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from finished_study import finished_study
from huggingface_hub import HfApi, ModelCard
from synthetic_records import hits, make_old, make_record
from typer.testing import CliRunner

from hf_transfer_kit.cli import app
from hf_transfer_kit.errors import FormatError, OutputError, PlanError, RemoteError
from hf_transfer_kit.plan import DataSpec, FewShot, Lora, TransferPlan
from hf_transfer_kit.prediction import predict
from hf_transfer_kit.publishing import card_of, license_of, prepare, publish
from hf_transfer_kit.records import RunRecord

TOKEN = "hf_" + "Q" * 34
REPO = "ann/films"


class Hub(BaseHTTPRequestHandler):
    """What of the Hub a push needs; `server` keeps what it was sent."""

    def answer(self, content, status=200):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer({"id": REPO, "private": self.server.private, "siblings": []})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append((self.path, self.headers["Authorization"]))
        if self.server.refuses:
            self.answer({"error": f"no rights for {TOKEN}"}, status=403)
        elif self.path == "/api/repos/create":
            self.server.made = json.loads(body)
            self.answer({"url": f"https://huggingface.co/{REPO}"})
        elif self.path == "/api/validate-yaml":
            self.answer({"warnings": [], "errors": []})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            modes = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in files]
            self.answer({"files": modes})
        else:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.server.sent[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self.answer({"commitUrl": f"https://huggingface.co/{REPO}/commit/1", "commitOid": "1", "success": True})

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.asked, server.sent, server.made, server.private, server.refuses = [], {}, None, True, False
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    server.api = HfApi(endpoint=f"http://127.0.0.1:{server.server_port}", token=TOKEN)
    monkeypatch.setattr("hf_transfer_kit.publishing.hub", lambda: server.api)
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def runs(text_csv, tiny_bert):
    return finished_study(text_csv, tiny_bert) / "runs" / "tiny-bert"


@pytest.fixture
def run(runs):
    return runs / "full" / "all" / "seed-0"


def saved(folder, record, **files):
    """A run's folder with this record and these files of its model."""
    record.save(folder / "record.json")
    for name, content in (files or {"head.safetensors": b"1"}).items():
        (folder / "model").mkdir(exist_ok=True)
        (folder / "model" / name.replace("_dot_", ".")).write_bytes(content)
    return folder


def test_what_was_listed_is_what_arrives(hub, run):
    publication = prepare(run, REPO)
    listed = {file.name: (file.size, file.sha256) for file in publication.files}
    publish(publication, hub.api)

    assert listed == {name: (len(sent), hashlib.sha256(sent).hexdigest()) for name, sent in hub.sent.items()}
    assert {"README.md", "plan.yaml", "record.json", "config.json", "model.safetensors"} <= set(listed)
    assert (hub.made["name"], hub.made["visibility"]) == ("films", "private")
    assert {authorization for _, authorization in hub.asked} == {f"Bearer {TOKEN}"}
    assert hub.sent["model.safetensors"] == (run / "model" / "model.safetensors").read_bytes()


def test_what_arrives_answers_as_the_run_does(hub, run, tmp_path):
    publish(prepare(run, REPO), hub.api)
    for name, content in hub.sent.items():
        (tmp_path / name).write_bytes(content)
    texts = ["a lovely film", "a boring story"]

    assert predict(tmp_path, texts) == predict(run, texts)
    assert ModelCard.load(tmp_path / "README.md").data.library_name == "transformers"
    assert TransferPlan.load(tmp_path / "plan.yaml").approach == RunRecord.load(run / "record.json").plan.approach


def test_nothing_that_arrives_names_a_place_of_this_machine(hub, runs, text_csv, tiny_bert):
    for method in ("full", "lora", "features"):
        publish(prepare(runs / method / "all" / "seed-0", REPO), hub.api)
        for name, content in hub.sent.items():
            for place in (text_csv.parent, tiny_bert.parent, runs, Path.home()):
                assert str(place).encode() + b"/" not in content, name


def test_the_code_of_the_card_runs_without_the_kit(run, tmp_path, capsys):
    code = card_of(run).split("```python\n")[2].split("```")[0]
    assert "hf_transfer_kit" not in code
    exec(code.replace("ORG/NAME", str(run / "model")), {})  # what a reader would paste

    printed = capsys.readouterr().out
    assert any(name in printed for name in RunRecord.load(run / "record.json").label_names)


def test_a_dry_run_lists_the_files_and_asks_nobody(hub, run):
    done = CliRunner().invoke(app, ["push", str(run), "--repo", REPO, "--dry-run"])

    assert done.exit_code == 0 and hub.asked == []
    assert f"to {REPO} (private)" in done.output and "nothing was sent" in done.output
    for file in prepare(run, REPO).files:
        assert file.name in done.output and f"{file.size:,}" in done.output and file.sha256[:12] in done.output


def test_the_command_ends_with_the_address_of_the_page(hub, run):
    done = CliRunner().invoke(app, ["push", str(run), "--repo", REPO])

    assert done.exit_code == 0
    assert done.output.splitlines()[-1].endswith(REPO)
    assert hub.sent


def test_a_public_repository_gets_nothing_that_was_to_be_private(hub, run):
    hub.private = False
    with pytest.raises(PlanError, match="is public already"):
        publish(prepare(run, REPO), hub.api)
    assert hub.sent == {}

    publish(prepare(run, REPO, private=False), hub.api)
    assert hub.sent and hub.made["visibility"] == "public"


def test_no_token_is_one_sentence_before_anything_is_asked(hub, run, monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(RemoteError, match="hf auth login"):
        publish(prepare(run, REPO), HfApi(endpoint=hub.api.endpoint))
    assert hub.asked == []


def test_what_the_hub_refuses_is_one_line_without_the_token(hub, run):
    hub.refuses = True
    with pytest.raises(RemoteError, match="the Hub refuses") as raised:
        publish(prepare(run, REPO), hub.api)
    assert "\n" not in str(raised.value) and TOKEN not in str(raised.value)


@pytest.mark.parametrize("repo", ["films", "ann/films/more", "/films", "ann/ films", "../ann/films", ""])
def test_a_wrong_name_is_refused(run, repo):
    with pytest.raises(PlanError, match="is no repository"):
        prepare(run, repo)


def test_pickled_weights_never_go(tmp_path):
    saved(tmp_path, make_record(hits(15, 20)), pytorch_model_dot_bin=b"\x80")
    with pytest.raises(FormatError, match=r"pytorch_model\.bin.* safetensors"):
        prepare(tmp_path, REPO)


def test_a_run_without_its_model_is_refused(tmp_path):
    make_record(hits(15, 20)).save(tmp_path / "record.json")
    with pytest.raises(FormatError, match="no saved model"):
        prepare(tmp_path, REPO)


def test_adapters_on_a_model_that_stays_here_are_refused(tmp_path):
    saved(tmp_path, make_record(hits(15, 20), Lora(), old=make_old([1, 1], [1, 0])))
    with pytest.raises(PlanError, match="cache of this machine"):
        prepare(tmp_path, REPO)


def test_a_place_that_no_rule_knows_of_stops_the_push(tmp_path):
    record = make_record(hits(15, 20))
    record = replace(record, plan=replace(record.plan, data=DataSpec(path=str(tmp_path / "reviews.csv"))))
    saved(tmp_path, record, notes_dot_txt=f"made from {tmp_path}/reviews.csv".encode())
    with pytest.raises(OutputError, match=r"'notes\.txt' names"):
        prepare(tmp_path, REPO)


def test_a_prompt_with_examples_of_the_data_says_so(tmp_path):
    notes = prepare(saved(tmp_path, make_record(hits(15, 20), FewShot(shots=2), labels=2)), REPO).notes

    assert "word for word" in notes[0]


def test_the_license_is_that_of_a_model_the_kit_knows():
    assert license_of(make_record(hits(15, 20), model="sentence-transformers/all-MiniLM-L6-v2")) == "apache-2.0"
    assert license_of(make_record(hits(15, 20), model="hub/mini")) is None


def test_the_card_of_a_run_is_written_where_it_is_asked_for(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    (folder / "model" / "README.md").unlink()

    assert CliRunner().invoke(app, ["card", str(folder)]).output.strip() == str(folder / "model" / "README.md")
    assert CliRunner().invoke(app, ["card", str(folder), "--out", str(tmp_path / "card.md")]).exit_code == 0
    assert (tmp_path / "card.md").read_text() == (folder / "model" / "README.md").read_text() == card_of(run)
