"""Blocks of thirty tiny models, checked against a forward pass: who runs when, and who depends on whom."""

from itertools import pairwise

import pytest
import torch
import transformers as hf
from peft import LoraConfig, get_peft_model
from torch import nn

from hf_transfer_kit.blocks import Blocks, find_blocks
from hf_transfer_kit.errors import ModelError, PlanError

TEXT = {"vocab_size": 40, "num_labels": 3, "pad_token_id": 0}
BERT_LIKE = TEXT | {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 32,
}
LLAMA_LIKE = BERT_LIKE | {"num_key_value_heads": 1}
DEBERTA = BERT_LIKE | {
    "relative_attention": True,
    "position_buckets": 8,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
}
IMAGE = {"num_labels": 3, "image_size": 32}
VIT_LIKE = IMAGE | {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "patch_size": 8,
}
STAGED = IMAGE | {"hidden_sizes": [8, 12, 16], "depths": [1, 2, 1], "num_stages": 3}
BART = TEXT | {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "max_position_embeddings": 32,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}
T5 = TEXT | {
    "decoder_start_token_id": 0,
    "eos_token_id": 2,
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 16,
    "num_layers": 2,
    "num_heads": 2,
}

# name: (configuration, how many layers that makes, where the last of them is, name of a layer of the new head)
CLASSIFIERS = {
    "bert": (hf.BertConfig(**BERT_LIKE), 3, "bert.encoder.layer.2", "classifier"),
    "bert of one layer": (
        hf.BertConfig(**BERT_LIKE | {"num_hidden_layers": 1}),
        1,
        "bert.encoder.layer.0",
        "classifier",
    ),
    "roberta": (hf.RobertaConfig(**BERT_LIKE), 3, "roberta.encoder.layer.2", "classifier.out_proj"),
    "xlm-roberta": (hf.XLMRobertaConfig(**BERT_LIKE), 3, "roberta.encoder.layer.2", "classifier.out_proj"),
    "nomic-bert": (hf.NomicBertConfig(**BERT_LIKE), 3, "nomic_bert.layers.2", "classifier"),
    "opt": (
        hf.OPTConfig(**BERT_LIKE | {"word_embed_proj_dim": 8, "ffn_dim": 16}, bos_token_id=1, eos_token_id=2),
        3,
        "model.decoder.layers.2",
        "score",
    ),
    "distilbert": (
        hf.DistilBertConfig(**TEXT, dim=16, n_layers=3, n_heads=2, hidden_dim=16, max_position_embeddings=32),
        3,
        "distilbert.transformer.layer.2",
        "pre_classifier",
    ),
    "deberta": (hf.DebertaV2Config(**DEBERTA), 3, "deberta.encoder.layer.2", "classifier"),
    "deberta v1": (hf.DebertaConfig(**DEBERTA), 3, "deberta.encoder.layer.2", "classifier"),
    "deberta with convolution": (
        hf.DebertaV2Config(**DEBERTA, conv_kernel_size=3),
        3,
        "deberta.encoder.layer.2",
        "classifier",
    ),
    "electra": (hf.ElectraConfig(**BERT_LIKE, embedding_size=8), 3, "electra.encoder.layer.2", "classifier.out_proj"),
    "albert": (hf.AlbertConfig(**BERT_LIKE, embedding_size=8), 1, "albert.encoder", "classifier"),
    "albert of two groups": (
        hf.AlbertConfig(**BERT_LIKE, embedding_size=8, num_hidden_groups=2),
        1,
        "albert.encoder",
        "classifier",
    ),
    "mpnet": (hf.MPNetConfig(**BERT_LIKE), 3, "mpnet.encoder.layer.2", "classifier.out_proj"),
    "modernbert": (
        hf.ModernBertConfig(**BERT_LIKE, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2),
        3,
        "model.layers.2",
        "classifier",
    ),
    "gpt2": (
        hf.GPT2Config(**TEXT, n_embd=16, n_layer=3, n_head=2, n_positions=32, bos_token_id=1, eos_token_id=2),
        3,
        "transformer.h.2",
        "score",
    ),
    "llama": (hf.LlamaConfig(**LLAMA_LIKE), 3, "model.layers.2", "score"),
    "mistral": (hf.MistralConfig(**LLAMA_LIKE), 3, "model.layers.2", "score"),
    "qwen2": (hf.Qwen2Config(**LLAMA_LIKE), 3, "model.layers.2", "score"),
    "qwen3": (hf.Qwen3Config(**LLAMA_LIKE, head_dim=8), 3, "model.layers.2", "score"),
    "bart": (hf.BartConfig(**BART), 4, "model.decoder.layers.1", "classification_head"),
    "mbart": (hf.MBartConfig(**BART), 4, "model.decoder.layers.1", "classification_head"),
    "t5": (hf.T5Config(**T5), 4, "transformer.decoder.block.1", "classification_head"),
    "vit": (hf.ViTConfig(**VIT_LIKE), 3, "vit.layers.2", "classifier"),
    "deit": (
        hf.DeiTConfig(**VIT_LIKE, architectures=["DeiTForImageClassification"]),
        3,
        "deit.layers.2",
        "classifier",
    ),
    "beit": (hf.BeitConfig(**VIT_LIKE, use_shared_relative_position_bias=True), 3, "beit.layers.2", "classifier"),
    "swin": (
        hf.SwinConfig(**IMAGE, patch_size=2, embed_dim=8, depths=[1, 2], num_heads=[1, 2], window_size=4),
        3,
        "swin.encoder.layers.1.blocks.1",
        "classifier",
    ),
    "convnext": (hf.ConvNextConfig(**STAGED), 4, "convnext.encoder.stages.2.layers.0", "classifier"),
    "convnextv2": (hf.ConvNextV2Config(**STAGED), 4, "convnextv2.encoder.stages.2.layers.0", "classifier"),
    "resnet": (
        hf.ResNetConfig(**STAGED, embedding_size=8, layer_type="bottleneck"),
        4,
        "resnet.encoder.stages.2.layers.0",
        "classifier",
    ),
    "mobilenet v1": (hf.MobileNetV1Config(**IMAGE, depth_multiplier=0.25), 13, "mobilenet_v1.layer.24", "classifier"),
    "mobilenet v2": (hf.MobileNetV2Config(**IMAGE, depth_multiplier=0.25), 16, "mobilenet_v2.layer.15", "classifier"),
    "efficientnet": (
        hf.EfficientNetConfig(**IMAGE, width_coefficient=0.25, depth_coefficient=0.1, hidden_dim=320),
        7,
        "efficientnet.encoder.blocks.6",
        "classifier",
    ),
}


def classifier_of(config: hf.PreTrainedConfig) -> nn.Module:
    auto = hf.AutoModelForImageClassification if is_image(config) else hf.AutoModelForSequenceClassification
    torch.manual_seed(0)
    return auto.from_config(config).eval()


def is_image(config: hf.PreTrainedConfig) -> bool:
    return hasattr(config, "num_channels")


def inputs_for(config: hf.PreTrainedConfig) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    if is_image(config):
        return {"pixel_values": torch.randn(2, 3, 32, 32, generator=generator)}
    ids = torch.randint(3, 40, (2, 7), generator=generator)
    ids[:, -1] = 2  # the end of text that encoder-decoder classifiers read from
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


@pytest.fixture(params=CLASSIFIERS)
def case(request):
    return CLASSIFIERS[request.param]


@pytest.fixture
def model(case):
    return classifier_of(case[0])


def lora(model: nn.Module, **settings) -> nn.Module:
    return get_peft_model(model, LoraConfig(task_type="SEQ_CLS", r=2, **settings)).eval()


def names_of(blocks: Blocks) -> list[str]:
    return [name for unit in blocks for name in unit.parameter_names]


def check_partition(model: nn.Module, blocks: Blocks) -> None:
    """Every parameter, and every module that holds no block, is in exactly one unit, in that block if inside one."""
    assert sorted(names_of(blocks)) == sorted(name for name, _ in model.named_parameters())
    assert {id(p) for unit in blocks for p in unit.parameters(model)} == {id(p) for p in model.parameters()}
    roots = [unit.module for unit in blocks.units[1:-1]]
    containers = {""} | {root.rsplit(".", cut)[0] for root in roots for cut in range(1, root.count(".") + 1)}
    placed = [name for unit in blocks for name in unit.module_names]
    assert sorted(placed) == sorted({name for name, _ in model.named_modules()} - containers)
    for unit in blocks.units[1:-1]:
        inside = {f"{unit.module}.{name}" for name, _ in model.get_submodule(unit.module).named_parameters()}
        assert inside and inside <= set(unit.parameter_names) | set(blocks.stem.parameter_names)


def check_order_of_execution(model: nn.Module, blocks: Blocks, inputs: dict[str, torch.Tensor]) -> None:
    """All modules with weights of a unit start after all of the unit below.

    Of the stem at least one; the rest may start between two blocks, as the embeddings of a decoder after the encoder.
    """
    started: dict[str, int] = {}

    def note(name):
        def hook(*_):
            started.setdefault(name, len(started))

        return hook

    for name in {name.rpartition(".")[0] for name in names_of(blocks)}:
        model.get_submodule(name).register_forward_pre_hook(note(name))
    model(**inputs)
    times = [[started[o] for o in {n.rpartition(".")[0] for n in u.parameter_names} if o in started] for u in blocks]
    assert all(times[1:-1])
    assert not times[0] or (min(times[0]) < min(times[1]) and max(times[0]) < min(times[-2]))
    filled = [t for t in times[1:] if t]
    for lower, upper in pairwise(filled):
        assert max(lower) < min(upper)


def check_cuts(model: nn.Module, blocks: Blocks, inputs: dict[str, torch.Tensor]) -> None:
    """A changed unit changes the input of the next block, and of no block up to its own."""
    seen: dict[str, list[torch.Tensor]] = {}

    def keep(name):
        def hook(_, args, kwargs):
            tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)]
            seen[name] = [tensor.clone() for tensor in tensors]

        return hook

    for unit in blocks.units[1:-1]:
        model.get_submodule(unit.module).register_forward_pre_hook(keep(unit.module), with_kwargs=True)
    chain = [unit.module for unit in blocks.units[1:-1]]
    model(**inputs)
    for depth in reversed(range(len(blocks) + 2)):
        before = dict(seen)
        for parameter in blocks.units[depth].parameters(model):
            parameter.add_(0.1 * torch.randn(parameter.shape))
        model(**inputs)
        same = {n: all(torch.equal(a, b) for a, b in zip(before[n], seen[n], strict=True)) for n in chain}
        assert all(same[n] for n in chain[:depth])
        if depth < len(blocks) and blocks.units[depth].parameter_names:
            assert not same[chain[depth]]


def check_gradients(model: nn.Module, blocks: Blocks, inputs: dict[str, torch.Tensor]) -> None:
    """With all but the top half frozen, a backward pass reaches every parameter of the top half and no other."""
    k = len(blocks) // 2
    for parameter in (p for unit in blocks.below(k) for p in unit.parameters(model)):
        parameter.requires_grad_(False)
    expected = {name for unit in blocks.top(k) for name in unit.parameter_names}
    expected = {name for name in expected if model.get_parameter(name).requires_grad}
    model(**inputs).logits.square().sum().backward()
    assert {name for name, parameter in model.named_parameters() if parameter.grad is not None} == expected


def test_units_of_a_classifier_hold_every_parameter_once_and_stand_where_expected(case, model):
    _, count, last, new = case
    blocks = find_blocks(model)
    check_partition(model, blocks)
    assert (len(blocks), blocks.units[-2].module) == (count, last)
    classifier = {name for name, _ in model.named_parameters() if name.startswith(new)}
    assert classifier and classifier <= set(blocks.head.parameter_names)
    assert blocks.stem.parameter_names


def test_units_of_a_classifier_run_in_their_order_and_depend_only_on_those_below(case, model):
    with torch.no_grad():
        check_order_of_execution(model, find_blocks(model), inputs_for(case[0]))
        check_cuts(model, find_blocks(model), inputs_for(case[0]))


def test_gradients_reach_the_top_units_of_a_classifier_and_no_others(case, model):
    check_gradients(model, find_blocks(model), inputs_for(case[0]))


def test_a_model_without_classifier_has_the_same_blocks(case, model):
    bare = hf.AutoModel.from_config(case[0])
    blocks = find_blocks(bare)
    check_partition(bare, blocks)
    with_head = find_blocks(model)
    assert len(blocks) == len(with_head)
    for unit, same in zip(blocks.units[1:-1], with_head.units[1:-1], strict=True):
        assert same.module.endswith(unit.module)
        assert len(unit.parameter_names) == len(same.parameter_names)


@pytest.mark.parametrize("name", ["bert", "llama", "deberta", "gpt2"])
def test_lora_weights_belong_to_the_block_of_their_layer_and_the_saved_classifier_to_the_head(name):
    config = CLASSIFIERS[name][0]
    model = lora(classifier_of(config), **({"fan_in_fan_out": True} if name == "gpt2" else {}))
    blocks = find_blocks(model)
    check_partition(model, blocks)
    assert len(blocks) == CLASSIFIERS[name][1]
    for i, unit in enumerate(blocks.units[1:-1]):
        adapters = [n for n in unit.parameter_names if "lora_" in n]
        assert adapters and all(f".{i}." in n for n in adapters)
    saved = [n for n, p in model.named_parameters() if "modules_to_save" in n]
    assert saved and set(saved) <= set(blocks.head.parameter_names)
    check_order_of_execution(model, blocks, inputs_for(config))
    check_gradients(model, blocks, inputs_for(config))


def test_a_tied_output_layer_is_counted_once_in_the_stem():
    config = CLASSIFIERS["gpt2"][0]
    model = hf.GPT2LMHeadModel(config)
    blocks = find_blocks(model)
    check_partition(model, blocks)
    assert model.lm_head.weight is model.get_parameter(blocks.stem.parameter_names[0])
    assert blocks.head.parameter_names == ("transformer.ln_f.weight", "transformer.ln_f.bias")


def test_downsampling_between_stages_goes_with_the_block_that_runs_before_it():
    swin = find_blocks(classifier_of(CLASSIFIERS["swin"][0]))
    assert "swin.encoder.layers.0.downsample.reduction.weight" in swin.units[1].parameter_names
    convnext = find_blocks(classifier_of(CLASSIFIERS["convnext"][0]))
    assert "convnext.encoder.stages.1.downsampling_layer.1.weight" in convnext.units[1].parameter_names


def test_top_below_and_depths_cut_the_same_order():
    model = classifier_of(CLASSIFIERS["bert"][0])
    blocks = find_blocks(model)
    assert [[unit.name for unit in blocks.top(k)] for k in range(3)] == [
        ["head"],
        ["block 2", "head"],
        ["block 1", "block 2", "head"],
    ]
    for k in range(len(blocks) + 1):
        assert blocks.below(k) + blocks.top(k) == tuple(blocks)
    depths = blocks.depths()
    assert list(depths) == names_of(blocks)
    assert depths["bert.embeddings.word_embeddings.weight"] == 0
    assert depths["bert.encoder.layer.0.output.dense.bias"] == 1
    assert depths["classifier.bias"] == 4
    for k in (-1, 4):
        with pytest.raises(PlanError, match=f"{k} top blocks were asked for, but the model has 3; use 0 to 3"):
            blocks.top(k)


def test_named_blocks_are_the_found_ones_for_a_pattern_and_keep_the_given_order():
    model = classifier_of(CLASSIFIERS["bert"][0])
    assert find_blocks(model, ["bert.encoder.layer.*"]) == find_blocks(model)
    halves = find_blocks(model, ["bert.encoder.layer.0", "bert.encoder.layer.2"])
    check_partition(model, halves)
    assert "bert.encoder.layer.1.output.dense.weight" in halves.units[1].parameter_names
    coarse = ["bert.encoder", "bert.pooler"]
    assert [unit.module for unit in find_blocks(model, coarse)] == [None, *coarse, None]


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (["bert.encoder.layers.*"], r"blocks: 'bert.encoder.layers.\*' matches no .* mean 'bert.encoder.layer.\*'\?"),
        (["bert.encoder.layer.3"], r"did you mean 'bert.encoder.layer.\*'\?"),
        (["bert.encoder.layer.0.output.dropout"], "no module with parameters in BertForSequenceClassification"),
        (["bert.encoder.layer.0", "bert.encoder.layer.*"], "'bert.encoder.layer.0' is named twice"),
        (["bert.encoder", "bert.encoder.layer.1"], "'bert.encoder.layer.1' lies inside 'bert.encoder'"),
        ("bert.encoder.layer.*", "is no list of names"),
        ([], "is no list of names"),
    ],
)
def test_wrong_names_are_answered_with_the_way_out(blocks, message):
    with pytest.raises(ModelError, match=message):
        find_blocks(classifier_of(CLASSIFIERS["bert"][0]), blocks)


def test_a_model_without_blocks_is_refused_and_can_be_named_by_hand():
    class FooModel(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.lower, self.upper, self.out = (nn.Linear(2, 2) for _ in range(4))

    with pytest.raises(ModelError) as caught:
        find_blocks(FooModel())
    way_out = "pass blocks=[...] (names of modules, bottom to top)."
    assert str(caught.value) == f"no block list found for FooModel; {way_out}"
    blocks = find_blocks(FooModel(), ["lower", "upper"])
    assert names_of(blocks)[::2] == ["embed.weight", "lower.weight", "upper.weight", "out.weight"]


def test_lists_side_by_side_that_run_in_turns_are_refused():
    config = hf.PoolFormerConfig(hidden_sizes=[4, 4], depths=[1, 1], num_encoder_blocks=2, patch_sizes=[3, 3])
    with pytest.raises(ModelError, match=r"2 block lists without one order \(poolformer.encoder.patch_embeddings, "):
        find_blocks(hf.PoolFormerForImageClassification(config))


def test_parallel_towers_are_refused_and_one_of_them_can_be_named():
    tower = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    towers = {"text_config": tower | {"vocab_size": 40}, "vision_config": tower | {"image_size": 32}}
    model = hf.CLIPModel(hf.CLIPConfig(**towers))
    with pytest.raises(ModelError, match=r"2 block lists without one order .* for CLIPModel; pass blocks=\[...\]"):
        find_blocks(model)
    blocks = find_blocks(model, ["vision_model.encoder.layers.*"])
    check_partition(model, blocks)
    assert len(blocks) == 2


class ConvNormAct(nn.Sequential):
    def __init__(self, into, out):
        super().__init__(nn.Conv2d(into, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU())


class InceptionBlock(nn.Module):
    """Two branches, one of them a uniform Sequential, which must not be taken for the chain."""

    def __init__(self, width):
        super().__init__()
        self.branch0 = nn.Sequential(ConvNormAct(width, width), ConvNormAct(width, width))
        self.branch1 = ConvNormAct(width, width)

    def forward(self, x):
        return self.branch0(x) + self.branch1(x)


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.Conv2d_1a = ConvNormAct(3, 8)
        self.Pool1 = nn.MaxPool2d(2)
        self.Mixed_5a, self.Mixed_5b = InceptionBlock(8), InceptionBlock(8)
        self.conv4, self.bn4 = nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 3)

    def get_classifier(self):
        return self.fc

    def forward(self, pixel_values):
        hidden = self.Mixed_5b(self.Mixed_5a(self.Pool1(self.Conv2d_1a(pixel_values))))
        return self.fc(self.bn4(self.conv4(hidden)).mean((2, 3)))


class VGG(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        layers = []
        for into in (3, 8, 8):
            layers += [nn.Conv2d(into, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(8, classes) if classes else nn.Identity()

    def get_classifier(self):
        return self.head

    def forward(self, pixel_values):
        return self.head(self.features(pixel_values).mean((2, 3)))


class Stages(nn.Module):
    """Two stages side by side in the trunk, as in the ResNet of timm."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3)
        self.layer1 = nn.Sequential(InceptionBlock(8), InceptionBlock(8))
        self.layer2 = nn.Sequential(InceptionBlock(8), InceptionBlock(8))
        self.fc = nn.Linear(8, 3)

    def forward(self, pixel_values):
        return self.fc(self.layer2(self.layer1(self.conv1(pixel_values))).mean((2, 3)))


class TimmWrapperForImageClassification(nn.Module):
    """Stands in for the class of transformers, which needs timm; blocks go by the name of the class."""

    def __init__(self, trunk):
        super().__init__()
        self.timm_model = trunk

    def forward(self, pixel_values):
        return hf.modeling_outputs.ImageClassifierOutput(logits=self.timm_model(pixel_values))


@pytest.mark.parametrize(
    ("trunk", "stem", "chain"),
    [
        (VGG, "features.0", ["features.4", "features.8"]),
        (Inception, "Conv2d_1a.0", ["Mixed_5a", "Mixed_5b", "conv4"]),
        (Stages, "conv1", ["layer1.0", "layer1.1", "layer2.0", "layer2.1"]),
    ],
)
def test_convolution_networks_of_timm_are_chains_of_their_parts(trunk, stem, chain):
    torch.manual_seed(0)
    model = TimmWrapperForImageClassification(trunk()).eval()
    blocks = find_blocks(model)
    check_partition(model, blocks)
    assert [unit.module for unit in blocks.units[1:-1]] == [f"timm_model.{name}" for name in chain]
    assert blocks.stem.parameter_names[0] == f"timm_model.{stem}.weight"
    inputs = {"pixel_values": torch.randn(2, 3, 32, 32)}
    check_gradients(model, blocks, inputs)
    with torch.no_grad():
        check_order_of_execution(model, blocks, inputs)
        check_cuts(model.requires_grad_(False), blocks, inputs)


def test_a_batch_norm_goes_with_the_convolution_before_it_and_a_trunk_may_have_no_head():
    with_head = find_blocks(TimmWrapperForImageClassification(VGG()))
    assert "timm_model.features.5.weight" in with_head.units[1].parameter_names
    bare = find_blocks(TimmWrapperForImageClassification(VGG(classes=0)))
    assert [unit.parameter_names for unit in bare][:-1] == [unit.parameter_names for unit in with_head][:-1]
    assert bare.head.parameter_names == ()


def test_find_blocks_touches_nothing():
    model = classifier_of(CLASSIFIERS["bert"][0])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    find_blocks(model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
