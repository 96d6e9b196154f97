"""Plans: YAML in and out, a digest that sees every setting, and one clear line for every mistake."""

import dataclasses
from pathlib import Path

import pytest

from hf_transfer_kit.errors import FormatError, PlanError, TransferKitError
from hf_transfer_kit.plan import (
    APPROACHES,
    PROTECTABLE,
    PROTECTIONS,
    DataSpec,
    EwcSettings,
    Features,
    FewShot,
    Full,
    Gradual,
    L2spSettings,
    Lora,
    Majority,
    ModelSpec,
    PromptTuning,
    Protection,
    Prototype,
    Remote,
    ReplaySettings,
    Scratch,
    Shallow,
    TopLayers,
    Training,
    TransferPlan,
    ZeroShot,
    protection_named,
)

HEAD = "format: hf_transfer_kit.plan\nversion: 1\ndata: {path: a.csv}\nmodel: {name: m}\n"
OLD = "approach: full\nold_data: {path: old.csv}\n"
SETTINGS = [
    Majority(), Shallow(), Features(), Features(layer="mean"), Features(layer=-2), TopLayers(), Full(),
    Gradual(), Lora(), Scratch(), ZeroShot(), FewShot(), Prototype(), PromptTuning(),
    ZeroShot(classifier="causal", prompt="mine.yaml", calibration="contextual", search=True),
    FewShot(shots=4, choose="nearest", orders=3), Prototype(names=False),
    PromptTuning(virtual_tokens=5, learning_rate=0.1, head_learning_rate=1e-4),
    TopLayers(blocks=0, learning_rate=1e-5, head_learning_rate=2e-3, decay=1.0, cache_limit_mib=0),
    Full(learning_rate=3e-5, decay=0.5), Gradual(opening_share=1.0, order="lp_ft"),
    Lora(rank=2, alpha=4, learning_rate=None), Scratch(learning_rate=1e-4),
]  # fmt: skip


def make_plan(approach=None, **changes) -> TransferPlan:
    return TransferPlan(
        **{"data": DataSpec(path="a.csv"), "model": ModelSpec(name="m"), "approach": approach or Full()} | changes
    )


def test_the_list_below_has_every_approach():
    assert {type(approach) for approach in SETTINGS} == set(APPROACHES.values())


@pytest.mark.parametrize("approach", SETTINGS, ids=repr)
def test_a_plan_comes_back_from_yaml_as_it_was(tmp_path: Path, approach):
    plan = make_plan(
        approach,
        data=DataSpec(path="naïve ☃.csv", input_column="yes", label_column="1e-5", train_size=64, drop_rare=True),
        model=ModelSpec(name="org/model", revision="0123", blocks=("stem", "body.0")),
        training=Training(epochs=2, dropout=None, report_to=("trackio",), weight_decay=1e-5),
        seed=7,
    )
    plan.save(str(tmp_path / "plan.yaml"))
    assert TransferPlan.load(tmp_path / "plan.yaml") == plan
    assert TransferPlan.from_mapping(plan.to_mapping()).digest() == plan.digest()


PROTECTED = Protection(
    ewc=EwcSettings(strength=3.0, importance="mas", n_examples=7), l2sp=L2spSettings(strength=0.5),
    replay=ReplaySettings(ratio=0.25, sampler="herding", memory=5, distill=0.1),
)  # fmt: skip


@pytest.mark.parametrize("protection", [Protection(), Protection(l2sp=L2spSettings()), PROTECTED], ids=repr)
def test_old_data_and_protections_come_back_from_yaml_as_they_were(protection):
    plan = make_plan(old_data=DataSpec(path="old.csv", train_size=9), protection=protection)
    assert TransferPlan.from_yaml(plan.to_yaml()) == plan


def test_a_plan_without_old_data_reads_as_before():
    plan = TransferPlan.from_yaml(HEAD + "approach: full")
    assert plan.old_data is None and plan.protection == Protection() and plan.method == "full"


def test_the_method_names_approach_and_protections_in_a_fixed_order():
    asked = protection_named(["replay", "ewc"], "here")
    assert make_plan(Gradual(), old_data=DataSpec(path="o"), protection=asked).method == "gradual+ewc+replay"
    assert protection_named(["l2sp"], "here") == Protection(l2sp=L2spSettings())
    assert set(protection_named(list(PROTECTIONS), "here").names) == set(PROTECTIONS)


@pytest.mark.parametrize("cls", APPROACHES.values(), ids=APPROACHES)
def test_protections_are_for_what_changes_pretrained_weights(cls):
    settings = {"old_data": DataSpec(path="o"), "protection": Protection(l2sp=L2spSettings())}
    if cls in PROTECTABLE:
        assert make_plan(cls(), **settings).method == f"{cls.name}+l2sp"
    else:
        with pytest.raises(PlanError, match=rf"approach '{cls.name}' takes no protection \('l2sp'\); use one of"):
            make_plan(cls(), **settings)


def test_a_bare_name_stands_for_an_approach_with_its_defaults():
    assert TransferPlan.from_yaml(HEAD + "approach: lora").approach == Lora()


def one_change_each():
    """Plans that differ from `make_plan()` in one setting, for every setting there is."""
    other = {int: 3, float: 0.31, str: "other", bool: True}
    special = {"precision": "bf16", "report_to": ("wandb",), "blocks": ("a",), "accumulation": 4, "train_size": 9}
    special |= {"learning_rate": 0.31, "dropout": 0.31, "layer": 3, "order": "lp_ft", "strength": 0.31, "memory": 9}
    special |= {"importance": "mas", "sampler": "herding", "remote": Remote(url="http://a/v1"), "names": False}
    special |= {"classifier": "causal", "calibration": "contextual", "choose": "nearest"}

    def changed(value):
        for each in dataclasses.fields(value):
            old = getattr(value, each.name)
            new = special.get(each.name, other.get(type(old), "other"))
            if type(value) is TopLayers and each.name == "blocks":
                new = 3
            yield f"{type(value).__name__}.{each.name}", dataclasses.replace(value, **{each.name: new})

    base = make_plan()
    yield "seed", make_plan(seed=3)
    yield "no model", make_plan(Majority(), model=None)
    for part in ("data", "model", "training"):
        for name, value in changed(getattr(base, part)):
            yield name, make_plan(**{part: value})
    old = DataSpec(path="old.csv")
    for name, value in changed(old):
        yield f"old {name}", make_plan(old_data=value)
    for name, cls in PROTECTIONS.items():
        for setting, value in [(name, cls()), *changed(cls())]:
            yield setting, make_plan(old_data=old, protection=Protection(**{name: value}))
    for cls in APPROACHES.values():
        yield f"approach {cls.name}", make_plan(cls())
        for name, value in changed(cls()):
            yield name, make_plan(value)


def test_the_digest_sees_every_setting():
    digests = {make_plan().digest(): "the plan itself"}
    names = []
    for name, plan in one_change_each():
        if plan == make_plan():  # approach full is the plan itself
            continue
        assert plan.digest() not in digests, f"{name} has the digest of {digests.get(plan.digest())}"
        digests[plan.digest()] = name
        names.append(name)
    assert len(names) > 70


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "approach: {name: ful}", "plan: approach: unknown approach 'ful'; did you mean 'full'?"),
        (HEAD + "approach: {rank: 8}", "plan: approach: unknown approach 'None'; choose one of"),
        (HEAD + "approach: [full]", "plan: approach: unknown approach 'None'; choose one of"),
        (HEAD + "approach: {name: [full]}", "plan: approach: unknown approach '['full']'; did you mean"),
        (HEAD, "plan: setting 'approach' is missing; add 'approach: {name: features}'."),
        (HEAD + "approach: {name: full, rank: 8}", "plan: approach (full): unknown setting 'rank'; choose one of"),
        (HEAD + "approach: {name: full, learning_rat: 1.0}", "did you mean 'learning_rate'?"),
        (HEAD + "approach: {name: full, learning_rate: 1e-5}", "learning_rate is '1e-5'; it must be a number (YAML"),
        (HEAD + "approach: {name: full, learning_rate: .nan}", "learning_rate is nan; it must be a finite number."),
        (HEAD + "approach: {name: full, learning_rate: 0.0}", "full.learning_rate=0.0 must be > 0; leave it out"),
        (HEAD + "approach: {name: lora, rank: 0}", "lora.rank=0 must be >= 1; use 8."),
        (HEAD + "approach: {name: top_layers, blocks: -1}", "top_layers.blocks=-1 is negative; use 0 for"),
        (HEAD + "approach: {name: top_layers, decay: 0}", "top_layers.decay=0.0 must lie in (0, 1]"),
        (HEAD + "approach: {name: features, layer: last}", "features.layer='last'; use auto, mean, or a layer number"),
        (HEAD + "approach: {name: features, layer: 1.5}", "layer is 1.5; it must be"),
        (HEAD + "approach: {name: gradual, opening_share: 0}", "gradual.opening_share=0.0 must lie in (0, 1]"),
        (HEAD + "approach: {name: gradual, order: topdown}", "order='topdown' is unknown; did you mean 'top_down'?"),
        (HEAD + "approach: full\nprotection: {ewc: {}}", "'full+ewc' protects old data, but none is given; add old"),
        (HEAD + OLD + "protection: {ewcs: {}}", "plan.protection: unknown setting 'ewcs'; did you mean 'ewc'?"),
        (HEAD + OLD + "protection: {ewc: {strength: -1}}", "ewc.strength=-1.0 is negative; use 0 to switch"),
        (HEAD + OLD + "protection: {ewc: {importance: fish}}", "importance='fish' is unknown; did you mean 'fisher'?"),
        (HEAD + OLD + "protection: {ewc: {n_examples: 0}}", "ewc.n_examples=0 must be >= 1; use 256."),
        (HEAD + OLD + "protection: {replay: {ratio: 1}}", "replay.ratio=1.0 must lie in [0, 1)"),
        (HEAD + OLD + "protection: {replay: {sampler: herd}}", "sampler='herd' is unknown; did you mean 'herding'?"),
        (HEAD + OLD + "protection: {replay: {memory: 0}}", "replay.memory=0 must be >= 1"),
        (HEAD + OLD + "protection: {replay: {distill: -1}}", "replay.distill=-1.0 is negative"),
        (HEAD + "approach: full\nold_data: {}", "plan.old_data: setting 'path' is missing"),
        (HEAD + "approach: full\nseed: -1", "seed=-1 is negative; use 0."),
        (HEAD + "approach: full\nsead: 1", "plan: unknown setting 'sead'; did you mean 'seed'?"),
        (HEAD + "approach: full\ntraining: {precision: fp16}", "precision='fp16' is unknown; did you mean 'bf16'?"),
        (HEAD + "approach: full\ntraining: {batch_size: 32, accumulation: 5}", "cannot be cut into accumulation=5"),
        (HEAD + "approach: full\ntraining: {epochs: 0}", "training.epochs=0 must be >= 1"),
        (HEAD + "approach: full\ntraining: {weight_decay: -1}", "training.weight_decay=-1.0 must be >= 0"),
        (HEAD + "approach: full\ntraining: {dropout: 1}", "training.dropout=1.0 must lie in [0, 1)"),
        (HEAD + "approach: full\ntraining: {warmup_share: 1}", "training.warmup_share=1.0 must lie in [0, 1)"),
        (HEAD + "approach: full\ntraining: 3", "plan.training is 3; it must be a mapping"),
        (HEAD.replace("a.csv", "a.csv, test_share: 0") + "approach: full", "test_share=0.0 must lie between 0 and 1"),
        (HEAD.replace("a.csv", "a.csv, test_share: 0.9") + "approach: full", "leave nothing to train on"),
        (HEAD.replace("a.csv", "a.csv, train_size: 0") + "approach: full", "train_size=0 must be >= 1"),
        (HEAD.replace("a.csv", "a.csv, max_length: 1") + "approach: full", "max_length=1 leaves no room"),
        (HEAD.replace("path: a.csv", "") + "approach: full", "plan.data: setting 'path' is missing"),
        (HEAD.replace("model: {name: m}", "") + "approach: full", "needs a model; add 'model: {name: ...}'."),
    ],
)
def test_a_wrong_setting_gets_one_line_that_helps(text: str, message: str):
    with pytest.raises(PlanError) as caught:
        TransferPlan.from_yaml(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "plan has no 'format' key"),
        ("just words", "plan has no 'format' key"),
        ("format: hf_transfer_kit.record\nversion: 1", "plan has format 'hf_transfer_kit.record'; expected"),
        (HEAD.replace("version: 1", "version: 2") + "approach: full", "plan has version 2 of hf_transfer_kit.plan"),
        (HEAD.replace("version: 1\n", "") + "approach: full", "plan has version None"),
        ("a: [1\nb: 2", "plan is not valid YAML: "),
        ("a: !!python/object/apply:os.system [ls]", "plan is not valid YAML: "),
        ("a: 2025-02-30", "plan is not valid YAML: "),
        ("a: !!timestamp x", "plan is not valid YAML: "),
        ("[" * 5000, "plan is not valid YAML: "),
    ],
)
def test_what_is_no_plan_is_refused_in_one_line(text: str, message: str):
    with pytest.raises(FormatError) as caught:
        TransferPlan.from_yaml(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_plan_file_that_cannot_be_read_is_named(tmp_path: Path):
    (tmp_path / "latin.yaml").write_bytes(b"data: caf\xe9")
    for name in ("missing.yaml", "latin.yaml", "."):
        with pytest.raises(TransferKitError, match="cannot be read"):
            TransferPlan.load(tmp_path / name)


@pytest.mark.parametrize(
    "make",
    [lambda: Full(learning_rate=float("nan")), lambda: Scratch(learning_rate=float("nan")),
     lambda: Training(weight_decay=float("nan")), lambda: DataSpec(path="a", test_share=float("nan"))],
)  # fmt: skip
def test_nan_is_no_setting_in_python_either(make):
    with pytest.raises(PlanError, match="=nan must"):
        make()


def test_a_run_is_the_same_whatever_a_remote_model_may_cost_and_how_fast_it_is_asked():
    cheap, dear, other = (
        make_plan(ZeroShot(), model=ModelSpec(name="m", remote=remote))
        for remote in (
            Remote(url="http://a/v1", price_in=1.0, max_dollars=1.0),
            Remote(url="http://a/v1", price_in=2.0, max_dollars=9.0, parallel=1, timeout=5.0, requests_per_minute=9.0),
            Remote(url="http://b/v1", price_in=1.0, max_dollars=1.0),
        )
    )

    assert cheap.repeats(dear) and make_plan().repeats(make_plan())
    assert not cheap.repeats(other) and not make_plan().repeats(make_plan(seed=1))
