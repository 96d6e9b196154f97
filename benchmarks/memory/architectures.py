"""The architectures of the advisor's models, as configurations that need no network.

What a configuration of transformers does not say by itself is from the model's paper or its card. The number of
weights that follows is compared with the one that models.toml states.
"""

from collections.abc import Callable
from typing import Any

import transformers as hf


def bert(**changed: Any) -> Any:
    return hf.BertConfig(architectures=["BertForMaskedLM"], **changed)


def t5(**changed: Any) -> Any:
    return hf.T5Config(architectures=["T5ForConditionalGeneration"], **changed)


def resnet(**changed: Any) -> Any:
    return hf.ResNetConfig(image_size=224, **changed)


ROBERTA = {"max_position_embeddings": 514, "type_vocab_size": 1}

CONFIGURATIONS: dict[str, Callable[[], Any]] = {
    "bert": bert,
    "roberta": lambda: hf.RobertaConfig(architectures=["RobertaForMaskedLM"], vocab_size=50265, **ROBERTA),
    "deberta": lambda: hf.DebertaV2Config(
        vocab_size=128100, hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072,
        relative_attention=True, position_buckets=256, norm_rel_ebd="layer_norm", share_att_key=True,
        pos_att_type="p2c|c2p", type_vocab_size=0, position_biased_input=False,
    ),
    "distilbert": lambda: hf.DistilBertConfig(architectures=["DistilBertForMaskedLM"]),
    "minilm": lambda: bert(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536),
    "xlm-roberta": lambda: hf.XLMRobertaConfig(architectures=["XLMRobertaForMaskedLM"], vocab_size=250002, **ROBERTA),
    "multilingual-bert": lambda: bert(vocab_size=119547),
    "multilingual-distilbert": lambda: hf.DistilBertConfig(
        architectures=["DistilBertForMaskedLM"], vocab_size=119547
    ),
    "scibert": lambda: bert(vocab_size=31090),
    "biomedbert": bert,
    "biobert": lambda: bert(vocab_size=28996),
    "legalbert": bert,
    "finbert": bert,
    "gpt-2": lambda: hf.GPT2Config(architectures=["GPT2LMHeadModel"]),
    "llama": lambda: hf.LlamaConfig(
        architectures=["LlamaForCausalLM"], vocab_size=128256, hidden_size=4096, intermediate_size=14336,
        num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8, max_position_embeddings=131072,
    ),
    "mistral": lambda: hf.MistralConfig(
        architectures=["MistralForCausalLM"], vocab_size=32768, hidden_size=4096, intermediate_size=14336,
        num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8, sliding_window=None,
    ),
    "mistral-large": lambda: hf.MistralConfig(
        architectures=["MistralForCausalLM"], vocab_size=32768, hidden_size=12288, intermediate_size=28672,
        num_hidden_layers=88, num_attention_heads=96, num_key_value_heads=8, sliding_window=None,
    ),
    "t5": lambda: t5(d_model=768, d_ff=3072, num_layers=12, num_heads=12),
    "t5-small": t5,
    "flan-t5": lambda: t5(
        d_model=768, d_ff=2048, num_layers=12, num_heads=12, feed_forward_proj="gated-gelu", tie_word_embeddings=False
    ),
    "clip": hf.CLIPConfig,
    "clip-remote-sensing": hf.CLIPConfig,
    "resnet-18": lambda: resnet(depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512], layer_type="basic"),
    "resnet-50": resnet,
    "resnet-101": lambda: resnet(depths=[3, 4, 23, 3]),
    "mobilenet": hf.MobileNetV2Config,
    "efficientnet-b0": lambda: hf.EfficientNetConfig(
        image_size=224, width_coefficient=1.0, depth_coefficient=1.0, hidden_dim=1280
    ),
    "efficientnet-b7": hf.EfficientNetConfig,
    "vit": hf.ViTConfig,
    "vit-large": lambda: hf.ViTConfig(
        hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096
    ),
    "swin": hf.SwinConfig,
    "rad-dino": lambda: hf.Dinov2Config(image_size=518, patch_size=14),
}  # fmt: skip
