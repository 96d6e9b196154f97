"""Every promise about speed and memory, and the benchmark that measures it. To add one: an entry in ROWS.

The commands are the smallest settings that still measure what was promised.
"""

from statistics import median

from benchmarks.speed.found import behind, growth, seconds_of, share_of_step, worst_memory
from benchmarks.speed.row import Child, Row, at_least, at_most, below

CLINC = "--data {data} --label-column intent"
FEATURES = Child(name="features", command=f"benchmarks.features.run {CLINC} --repeats 1", about_seconds=95)
TOP_LAYERS = Child(
    name="top_layers", command=f"benchmarks.top_layers.run {CLINC} --classes 15 --repeats 1", about_seconds=70
)
STARTUP = Child(name="startup", command="benchmarks.startup.run", about_seconds=6)
NEAR_DUPLICATES = Child(
    name="near_duplicates", command="benchmarks.near_duplicates.run {data}/test.csv {data}/train.csv", about_seconds=15
)
FISHER = Child(name="fisher", command="benchmarks.fisher.run --repeats 1", about_seconds=65)
EWC_STEP = Child(name="ewc_step", command="benchmarks.ewc_step.run", about_seconds=35, python="avalanche")
STEPS_OF_8 = Child(
    name="unfreezing-8", command="benchmarks.unfreezing.run --batch-size 8 --rounds 3", about_seconds=35
)
STEPS_OF_16 = Child(
    name="unfreezing-16", command="benchmarks.unfreezing.run --batch-size 16 --rounds 2", about_seconds=42
)
REPLAY = Child(name="replay", command="benchmarks.replay.run --rounds 2 --steps 5 --without-larger", about_seconds=65)
LABELS = Child(
    name="label_scorer", command="benchmarks.label_scorer.run --repeats 1 --harness-batch-sizes 8",
    about_seconds=65, python="lm_eval",
)  # fmt: skip
CLIP = Child(name="image_text", command="benchmarks.image_text.run --repeats 1", about_seconds=40)
ESTIMATORS = Child(name="estimators", command=f"benchmarks.ranking.run budget {CLINC}", about_seconds=25)
ADVISE = Child(name="advise", command="benchmarks.speed.advise", about_seconds=2)
MEMORY = Child(name="memory", command="benchmarks.memory.run --mobilenet {mobilenet}", about_seconds=200)
APP = Child(name="app", command="benchmarks.app.run --repeats 5 --seconds 10", about_seconds=120, detaches=True)
GPU = Child(name="on_device", command="benchmarks.speed.on_device --device cuda", about_seconds=120, device="cuda")

NO_CACHE = "Trainer with a frozen backbone, {} epochs"
OF_FEATURES = "`features` with MiniLM, CLINC150, 1000 training and 500 test rows, first run"
OVER_FULL = "a forward pass through all blocks is a third of a step, and freezing cannot save it"
FREED = "with freed memory given back to the system"


def step_with(name: str, batch: int, child: Child, kind: str, most: float) -> Row:
    """A step in which only `kind` trains."""
    return Row(
        name=name, what=f"a step that trains the {kind}, {batch} x 64 tokens", against="everything open", child=child,
        promise=at_most(most), unit="%", found=lambda r: share_of_step(r, kind), if_missed=OVER_FULL,
    )  # fmt: skip


def replay_at(ratio: float) -> Row:
    """A step with old rows: as many more as there are, plus 2 %."""
    return Row(
        name=f"replay-{ratio}", what=f"a step with `Replay` at ratio {ratio}, 16 x 64 tokens", against="without it",
        child=REPLAY, promise=at_most(round(1.02 / (1 - ratio), 4)), unit="times",
        found=lambda r: r["ratios"][str(ratio)]["times_a_plain_step"],
    )  # fmt: skip


ROWS = (
    Row(
        name="features-3-epochs", what=OF_FEATURES, against=NO_CACHE.format(3), child=FEATURES,
        promise=at_least(4), unit="times faster",
        found=lambda r: seconds_of(r, "Trainer, 3 epochs") / seconds_of(r, "features, first run"),
        if_missed="the margin is thin, since the one pass over the rows is most of the time on both sides",
    ),
    Row(
        name="features-10-epochs", what="the same", against=NO_CACHE.format(10), child=FEATURES,
        promise=at_least(12), unit="times faster",
        found=lambda r: seconds_of(r, "Trainer, 10 epochs") / seconds_of(r, "features, first run"),
        if_missed="the margin is thin, since the one pass over the rows is most of our time",
    ),
    Row(
        name="features-second-run", what="the same, second run on the cache", against=NO_CACHE.format(3),
        child=FEATURES, promise=at_least(100), unit="times faster",
        found=lambda r: seconds_of(r, "Trainer, 3 epochs") / seconds_of(r, "features, second run"),
    ),
    Row(
        name="features-accuracy-3", what="test accuracy of the same, points behind", against=NO_CACHE.format(3),
        child=FEATURES, promise=at_most(1), unit="points", found=lambda r: behind(r, 3),
    ),
    Row(
        name="features-accuracy-10", what="test accuracy of the same, points behind", against=NO_CACHE.format(10),
        child=FEATURES, promise=at_most(1), unit="points", found=lambda r: behind(r, 10),
        if_missed="one test row is 0.2 points, and the standard error of an accuracy of 500 rows is 1.5",
    ),
    Row(
        name="top-layers", what="`top_layers`, top 2 of 6 blocks, 3 epochs, 15 classes of CLINC150",
        against="Trainer that freezes the same blocks", child=TOP_LAYERS, promise=at_least(1.8), unit="times faster",
        found=lambda r: seconds_of(r, "Trainer, 3 epochs") / seconds_of(r, "top_layers"),
        if_missed="the margin is thin, since the trained blocks run in every epoch on both sides",
    ),
    Row(
        name="import", what="`import hf_transfer_kit`, shortest of 15", child=STARTUP, promise=below(0.2), unit="s",
        found=lambda r: r["commands"]["import hf_transfer_kit"]["wall_seconds"],
    ),
    Row(
        name="import-loads", what="heavy libraries that it loads (torch, transformers and seven more)", child=STARTUP,
        promise=at_most(0), unit="libraries",
        found=lambda r: len(r["commands"]["import hf_transfer_kit"]["heavy_modules_loaded"]),
    ),
    Row(
        name="help", what="`transfer-kit --help`, shortest of 15", child=STARTUP, promise=below(0.6), unit="s",
        found=lambda r: r["commands"]["transfer-kit --help"]["wall_seconds"],
    ),
    Row(
        name="near-duplicates", what="near copies, CLINC150, 4500 test rows x 15000 training rows, all pairs",
        child=NEAR_DUPLICATES, promise=below(3), unit="s",
        found=lambda r: median(r["cpu_seconds"]),
    ),
    Row(
        name="fisher-pass", what="diagonal Fisher information, 256 examples of 64 tokens, MiniLM",
        against="one ordinary pass forward and backward", child=FISHER, promise=at_most(1.35), unit="times",
        found=lambda r: r["times_plain"]["kit"],
    ),
    Row(
        name="fisher-loop", what="the same", against="one example at a time", child=FISHER, promise=None,
        unit="times faster", found=lambda r: r["times_plain"]["one loop"] / r["times_plain"]["kit"],
    ),
    Row(
        name="ewc-step", what="EWC's pull, MiniLM, 16 x 64 tokens", against="a plain step", child=EWC_STEP,
        promise=at_most(0.025), unit="%", found=lambda r: r["middle"]["EWC"] / r["middle"]["plain step"],
        if_missed="it reads weights, start and importance once and is bound by memory; reading them alone is half "
        "of its time",
    ),
    Row(
        name="ewc-avalanche", what="the same", against="the penalty of avalanche-lib 0.6.0", child=EWC_STEP,
        promise=at_least(8), unit="times faster", found=lambda r: r["middle"]["avalanche"] / r["middle"]["EWC"],
        if_missing="name an interpreter that has avalanche-lib with --avalanche-python",
        if_missed="the pull is bound by memory, as above; L2-SP, which reads no importance, is beyond it",
    ),
    step_with("half-8", 8, STEPS_OF_8, "upper half: 3 of 6 blocks", 0.6),
    step_with("head-8", 8, STEPS_OF_8, "head only", 0.35),
    step_with("half-16", 16, STEPS_OF_16, "upper half: 3 of 6 blocks", 0.6),
    step_with("head-16", 16, STEPS_OF_16, "head only", 0.35),
    replay_at(0.1),
    replay_at(0.2),
    replay_at(0.5),
    Row(
        name="labels-harness", what="log-likelihood of 77 labels after 64 texts, 16 examples in the prompt",
        against="lm-evaluation-harness, measured on one text and scaled", child=LABELS, promise=at_least(100),
        unit="times faster", found=lambda r: r["others"]["lm-evaluation-harness"]["times_the_scorer"],
        if_missing="name an interpreter that has lm_eval with --lm-eval-python",
    ),
    Row(
        name="labels-rows", what="the same", against="a cached context per text, a row per label; three texts, scaled",
        child=LABELS, promise=at_least(10), unit="times faster",
        found=lambda r: r["others"]["rows per text"]["times_the_scorer"],
    ),
    Row(
        name="labels-tokens", what="tokens evaluated for it", against="tokens needed", child=LABELS,
        promise=at_most(1.1), unit="times", found=lambda r: r["task"]["evaluated_of_limit"],
    ),
    Row(
        name="clip", what="CLIP, 100 images x 50 labels", against="zero-shot pipeline of transformers as it comes",
        child=CLIP, promise=at_least(5), unit="times faster", found=lambda r: r["times_ours"]["pipeline"],
    ),
    Row(
        name="clip-batched", what="the same", against="the pipeline with `batch_size=16`", child=CLIP, promise=None,
        unit="times faster", found=lambda r: r["times_ours"]["pipeline, batch_size=16"],
    ),
    Row(
        name="estimators-all", what="four estimators on seven layers and their mean, 1000 rows, 150 classes, MiniLM",
        against="the pass over the rows", child=ESTIMATORS, promise=at_most(0.05), unit="%",
        found=lambda r: next(iter(r["result"].values()))["share_all_layers"],
        if_missed="sentences of 11 tokens pass quickly, and eight layers need 2 GFLOP each; with longer inputs or "
        "larger models the share shrinks",
    ),
    Row(
        name="estimators-layer", what="the same on one layer", against="the pass over the rows", child=ESTIMATORS,
        promise=at_most(0.05), unit="%", found=lambda r: next(iter(r["result"].values()))["share_one_layer"],
    ),
    Row(
        name="advise", what="`advise(facts)`, the middle one of 60 tasks", child=ADVISE, promise=below(0.005),
        unit="ms", found=lambda r: r["middle_task_cpu_seconds"],
    ),
    Row(
        name="advise-slowest", what="the same, the slowest one", child=ADVISE, promise=below(0.005), unit="ms",
        found=lambda r: r["slowest_task_cpu_seconds"],
        if_missed="a few of the tasks weigh many more candidates than the others",
    ),
    Row(
        name="memory-minilm", what="`estimate_memory`, worst of features, top_layers, full, lora; MiniLM",
        against=f"peak of the run, {FREED}", child=MEMORY, promise=at_most(0.25), unit="%",
        found=lambda r: worst_memory(r, "minilm"),
    ),
    Row(
        name="memory-mobilenet", what="the same for MobileNetV2", against=f"peak of the run, {FREED}", child=MEMORY,
        promise=at_most(0.25), unit="%", found=lambda r: worst_memory(r, "mobilenet"),
        if_missing="name a folder of MobileNetV2 1.0 224 with --mobilenet",
    ),
    Row(
        name="page-ready", what="the app's page with an empty cache, slowest of three", child=APP, promise=below(2),
        unit="s", found=lambda r: max(r["page_ready_seconds"]),
        if_missed="gradio's page is most of it",
    ),
    Row(
        name="first-words", what="first words of the advisor after Enter, middle of five", child=APP,
        promise=below(0.3), unit="ms",
        found=lambda r: median(r["first_words_seconds"]),
    ),
    Row(
        name="event-to-page", what="event in a file to the page, middle, six pages and six jobs", child=APP,
        promise=below(0.3), unit="ms", found=lambda r: r["many_pages"]["median_seconds"],
    ),
    Row(
        name="reload", what="reload of a page until the job is shown again", child=APP, promise=below(1), unit="s",
        found=lambda r: max(r["one_page"]["reattach_seconds"]),
        if_missed="gradio's page is most of it",
    ),
    Row(
        name="reload-busy", what="the same while six pages and six jobs are at work, slowest of three", child=APP,
        promise=below(1), unit="s", found=lambda r: max(r["many_pages"]["reattach_seconds"]),
        if_missed="the browser draws six pages on the same two cores as server and jobs",
    ),
    Row(
        name="flat-memory", what="growth of the server's memory from 10,000 to 100,000 events (\"flat\": 5 % at most)",
        child=APP, promise=at_most(0.05), unit="%", found=growth,
    ),
    Row(
        name="gpu-bf16", what="GPU: a training step in bf16, BERT base, 32 x 128 tokens, AdamW", child=GPU,
        against="the same in float32", promise=None, unit="times faster",
        found=lambda r: r["bf16_step"]["times_faster"],
    ),
    Row(
        name="gpu-bf16-memory", what="GPU: peak memory of that step", against="the same in float32", child=GPU,
        promise=None, unit="%", found=lambda r: r["bf16_step"]["share_of_memory"],
    ),
    Row(
        name="gpu-ewc", what="GPU: EWC's pull, bf16 model", against="its training step", child=GPU,
        promise=at_most(0.025), unit="%", found=lambda r: r["ewc"]["share_of_a_step"],
    ),
    Row(
        name="gpu-half", what="GPU: a bf16 step with the upper half of the blocks open", against="everything open",
        child=GPU, promise=at_most(0.6), unit="%", found=lambda r: r["unfreezing"]["share_half"],
        if_missed=OVER_FULL,
    ),
    Row(
        name="gpu-head", what="GPU: a bf16 step with the head alone open", against="everything open", child=GPU,
        promise=at_most(0.35), unit="%", found=lambda r: r["unfreezing"]["share_head"], if_missed=OVER_FULL,
    ),
    Row(
        name="gpu-labels", what="GPU: log-likelihood of 77 labels after 64 texts in bf16, 16 examples in the prompt",
        against="a row of its own for every text and label, 77 in a batch", child=GPU, promise=at_least(100),
        unit="times faster", found=lambda r: r["labels"]["times_faster"],
    ),
)  # fmt: skip
CHILDREN = tuple(dict.fromkeys(row.child for row in ROWS))
