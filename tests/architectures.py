"""Configurations of tiny models of seventeen architectures: what the approaches that train are tried on."""

import transformers as hf

TEXT = {"vocab_size": 32, "pad_token_id": 0, "initializer_range": 0.2}
BERT_LIKE = TEXT | {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 72,
}
LLAMA_LIKE = BERT_LIKE | {"num_key_value_heads": 1, "bos_token_id": 2, "eos_token_id": 3}
DEBERTA = {
    "relative_attention": True,
    "position_buckets": 8,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
}
VIT_LIKE = {
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "initializer_range": 0.2,
}
STAGED = {"image_size": 32, "hidden_sizes": [8, 12, 16], "depths": [1, 2, 1], "num_stages": 3}

TEXT_MODELS: dict[str, hf.PreTrainedConfig] = {
    "bert": hf.BertConfig(**BERT_LIKE),
    "distilbert": hf.DistilBertConfig(
        **TEXT, dim=16, n_layers=3, n_heads=2, hidden_dim=16, max_position_embeddings=72
    ),
    "roberta": hf.RobertaConfig(**BERT_LIKE),
    "deberta-v2": hf.DebertaV2Config(**BERT_LIKE, **DEBERTA),
    "albert": hf.AlbertConfig(**BERT_LIKE, embedding_size=8),
    "mpnet": hf.MPNetConfig(**BERT_LIKE),
    "modernbert": hf.ModernBertConfig(**BERT_LIKE, bos_token_id=2, eos_token_id=3, cls_token_id=2, sep_token_id=3),
    "gpt2": hf.GPT2Config(
        vocab_size=32,
        n_embd=16,
        n_layer=3,
        n_head=2,
        n_positions=64,
        bos_token_id=2,
        eos_token_id=3,
        initializer_range=0.2,
    ),
    "llama": hf.LlamaConfig(**LLAMA_LIKE),
    "qwen2": hf.Qwen2Config(**LLAMA_LIKE),
}
IMAGE_MODELS: dict[str, hf.PreTrainedConfig] = {
    "vit": hf.ViTConfig(**VIT_LIKE),
    "swin": hf.SwinConfig(image_size=32, patch_size=2, embed_dim=8, depths=[1, 2], num_heads=[1, 2], window_size=4),
    "resnet": hf.ResNetConfig(**STAGED, embedding_size=8, layer_type="basic"),
    "mobilenet v1": hf.MobileNetV1Config(image_size=32, depth_multiplier=0.25, initializer_range=0.3),
    "mobilenet v2": hf.MobileNetV2Config(image_size=32, depth_multiplier=0.25, initializer_range=0.3),
    "convnext": hf.ConvNextConfig(**STAGED, layer_scale_init_value=1.0),
    "efficientnet": hf.EfficientNetConfig(
        image_size=32,
        width_coefficient=0.25,
        depth_coefficient=0.1,
        hidden_dim=320,
        drop_connect_rate=0.2,
        initializer_range=0.3,
    ),
}
ARCHITECTURES = TEXT_MODELS | IMAGE_MODELS
BATCH_NORM = ("resnet", "mobilenet v1", "mobilenet v2", "efficientnet")
