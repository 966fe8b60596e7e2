"""A Qwen2.5-Omni of a few thousand random weights, with all of its parts: what it says means nothing."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import pre_tokenizers
from transformers import (
    Qwen2_5OmniConfig,
    Qwen2_5OmniForConditionalGeneration,
    Qwen2_5OmniProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    WhisperFeatureExtractor,
)

SPECIAL = {
    "image_token": "<|IMAGE|>",
    "audio_token": "<|AUDIO|>",
    "video_token": "<|VIDEO|>",
    "vision_bos_token": "<|vision_bos|>",
    "vision_eos_token": "<|vision_eos|>",
    "audio_bos_token": "<|audio_bos|>",
    "audio_eos_token": "<|audio_eos|>",
}
TURNS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|tts_start|>", "<|tts_end|>", "<|tts_pad|>"]

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'audio' %}<|audio_bos|><|AUDIO|><|audio_eos|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_tiny_omni(folder: Path, *, speaks: bool = True, seed: int = 0) -> None:
    """Save such a model, its tokenizer and its processor in `folder`, as they are on the Hub."""
    torch.manual_seed(seed)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*letters, *TURNS, *SPECIAL.values()]
    tokenizer = Qwen2Tokenizer(
        vocab={token: index for index, token in enumerate(tokens)},
        merges=[],
        unk_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        extra_special_tokens=SPECIAL,
    )
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in tokens}
    places = {
        "audio_token_index": ids["<|AUDIO|>"],
        "image_token_index": ids["<|IMAGE|>"],
        "video_token_index": ids["<|VIDEO|>"],
        "audio_start_token_id": ids["<|audio_bos|>"],
        "audio_end_token_id": ids["<|audio_eos|>"],
    }
    vision = {"vision_start_token_id": ids["<|vision_bos|>"], "vision_end_token_id": ids["<|vision_eos|>"]}
    rope = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 1, 1]}
    text = {
        "vocab_size": len(tokens),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "rope_parameters": rope,
    }
    config = Qwen2_5OmniConfig(
        thinker_config={
            **places,
            **vision,
            "user_token_id": ids["u"],
            "text_config": {**text, "eos_token_id": ids["<|im_end|>"], "pad_token_id": ids["<|endoftext|>"]},
            "audio_config": {
                "num_mel_bins": 16,
                "encoder_layers": 1,
                "encoder_attention_heads": 2,
                "encoder_ffn_dim": 32,
                "d_model": 16,
                "output_dim": 32,
                "n_window": 100,
            },
            "vision_config": {
                "depth": 1,
                "hidden_size": 16,
                "intermediate_size": 32,
                "num_heads": 2,
                "out_hidden_size": 32,
                "fullatt_block_indexes": [0],
            },
        },
        talker_config={
            **text,
            **places,
            **vision,
            "vocab_size": 80,
            "head_dim": 8,
            "embedding_size": 32,
            "tts_text_start_token_id": ids["<|tts_start|>"],
            "tts_text_end_token_id": ids["<|tts_end|>"],
            "tts_text_pad_token_id": ids["<|tts_pad|>"],
            "tts_codec_start_token_id": 73,
            "tts_codec_end_token_id": 74,
            "tts_codec_pad_token_id": 72,
            "tts_codec_mask_token_id": 76,
        },
        token2wav_config={
            "dit_config": {
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "head_dim": 16,
                "emb_dim": 16,
                "look_ahead_layers": [0],
                "look_backward_layers": [1],
                "num_embeds": 81,
                "mel_dim": 8,
                "enc_emb_dim": 8,
                "enc_dim": 8,
                "enc_channels": [16, 16, 16, 16, 48],
                "enc_attention_channels": 8,
                "enc_se_channels": 8,
                "enc_res2net_scale": 2,
            },
            "bigvgan_config": {"mel_dim": 8, "upsample_initial_channel": 64},
        },
        enable_audio_output=speaks,
    )
    model = Qwen2_5OmniForConditionalGeneration(config)
    with torch.no_grad():
        for weights in model.thinker.parameters():
            if weights.dim() > 1:
                weights.normal_(0, 0.4)  # as large as it takes for what it hears to change what it says
    model.thinker.generation_config.eos_token_id = ids["<|im_end|>"]
    model.thinker.generation_config.pad_token_id = ids["<|endoftext|>"]
    model.save_pretrained(folder)
    torch.save(
        {
            name: {
                "bos_token": ids["<|tts_start|>"],
                "cond": torch.randn(1, 8),
                "ref_mel": torch.randn(1, 20, 8),
            }
            for name in ("Chelsie", "Ethan")
        },
        folder / "spk_dict.pt",
    )
    processor = Qwen2_5OmniProcessor(
        image_processor=Qwen2VLImageProcessor(),
        video_processor=Qwen2VLVideoProcessor(),
        feature_extractor=WhisperFeatureExtractor(feature_size=16, hop_length=160, n_fft=400),
        tokenizer=tokenizer,
        chat_template=TEMPLATE,
    )
    processor.save_pretrained(folder)
