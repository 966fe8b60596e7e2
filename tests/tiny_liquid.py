"""An LFM2-Audio of some hundred thousand random weights, with all of its parts: what it says means nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from liquid_audio import LFM2AudioModel
from liquid_audio.model.conformer.encoder import ConformerEncoderConfig
from liquid_audio.model.lfm2_audio import DepthformerConfig, LFM2AudioConfig
from liquid_audio.moshi.models import loaders
from liquid_audio.processor import PreprocessorConfig
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import Lfm2Config, PreTrainedTokenizerFast

# The numbers by which the package knows these tokens.
MARKS = {
    0: "<|pad|>",
    1: "<|startoftext|>",
    6: "<|im_start|>",
    7: "<|im_end|>",
    128: "<|audio_start|>",
    130: "<|text_end|>",
}
HIDDEN = 64

PREPROCESSOR = PreprocessorConfig(
    sample_rate=16_000,
    normalize="per_feature",
    window_size=0.025,
    window_stride=0.01,
    window="hann",
    features=128,
    n_fft=512,
    log=True,
    frame_splicing=1,
    dither=0.0,
    pad_to=0,
    pad_value=0.0,
)
ENCODER = ConformerEncoderConfig(
    feat_in=128,
    feat_out=-1,
    n_layers=1,
    d_model=32,
    subsampling="dw_striding",
    subsampling_factor=8,
    subsampling_conv_channels=8,
    causal_downsampling=False,
    reduction=None,
    reduction_position=None,
    reduction_factor=1,
    ff_expansion_factor=2,
    self_attention_model="rel_pos",
    n_heads=2,
    att_context_size=[-1, -1],
    xscaling=False,
    untie_biases=True,
    pos_emb_max_len=5000,
    conv_kernel_size=9,
    conv_norm_type="batch_norm",
    conv_context_size=None,
    dropout=0.0,
    dropout_pre_encoder=0.0,
    dropout_emb=0.0,
    dropout_att=0.0,
)


@contextmanager
def tiny_mimi() -> Iterator[None]:
    """Let the package make Mimi small: its sizes are no file's, but the package's own."""
    with (
        mock.patch.dict(loaders._seanet_kwargs, dimension=32, n_filters=2),
        mock.patch.dict(loaders._quantizer_kwargs, dimension=16, n_q=8, input_dimension=32, output_dimension=32),
        mock.patch.dict(
            loaders._transformer_kwargs,
            d_model=32,
            num_heads=2,
            num_layers=1,
            dim_feedforward=64,
            input_dimension=32,
            output_dimensions=[32],
        ),
    ):
        yield


def make_tiny_liquid(folder: Path, *, seed: int = 0) -> None:
    """Save such a model, its tokenizer and its Mimi in `folder`, as they are on the Hub. Wants to be in `tiny_mimi`."""
    torch.manual_seed(seed)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    marks = [MARKS.get(number, f"<|reserved_{number}|>") for number in range(max(MARKS) + 1)]
    tokens = [*marks, *letters]
    _save_tokenizer(folder, tokens, marks)
    backbone: dict[str, Any] = {
        "vocab_size": len(tokens),
        "hidden_size": HIDDEN,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128_000,
        "layer_types": ["conv", "full_attention"],
    }
    rest: dict[str, Any] = {
        "architectures": ["Lfm2AudioForConditionalGeneration"],
        "codebooks": 8,
        "tie_audio_embeddings": False,
        "semantic_codebook_factor": 100,
        "codebook_weight": "log",
        "interleaved_n_text": 6,
        "interleaved_n_audio": 12,
    }
    depthformer = DepthformerConfig(layers=1, dim=64, tie=True)
    model = LFM2AudioModel(
        LFM2AudioConfig(
            lfm=Lfm2Config(**backbone), encoder=ENCODER, depthformer=depthformer, preprocessor=PREPROCESSOR, **rest
        )
    )
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.dim() > 1 and not name.startswith("depth"):
                weights.normal_(0, 0.3)  # as large as it takes for what it hears to change what it says
    save_file(_apart(model.state_dict()), folder / "model.safetensors", metadata={"format": "pt"})
    save_file(_apart(loaders.get_mimi(None).state_dict()), folder / loaders.MIMI_NAME)
    config = {
        "lfm": backbone,
        "encoder": asdict(ENCODER),
        "depthformer": asdict(depthformer),
        "preprocessor": asdict(PREPROCESSOR),
        **rest,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def _apart(weights: dict[str, Any]) -> dict[str, Any]:
    return {name: weight.clone().contiguous() for name, weight in weights.items()}


def _save_tokenizer(folder: Path, tokens: list[str], marks: list[str]) -> None:
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(mark, special=mark != "<|text_end|>") for mark in marks])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|startoftext|>",
        eos_token="<|im_end|>",
        pad_token="<|pad|>",
    ).save_pretrained(folder)
