"""Writes families.json and spm/ for the tests of this package: what llama.cpp's own
convert_hf_to_gguf makes of a small model of each family, whose weights are made by the
formula of `values`.

For each model: its config.json, names and shapes of its weights, and of the GGUF files
(f32, q8_0) the metadata and each tensor's name, shape, type and the SHA-256 of its bytes.
Long lists of the metadata are hashes of their JSON.

Made with llama.cpp as vendored by llama-cpp-python 0.3.36, gguf of the same, transformers
5.24.0, tokenizers 0.23.3, sentencepiece 0.2.3, torch 2.15.0:
python golden.py LLAMA_CPP_FOLDER [NAME ...]
"""

import hashlib
import json
import pathlib
import shutil
import sys
import tempfile
import zlib

import numpy as np

root = pathlib.Path(sys.argv[1])
sys.path[:0] = [str(root), str(root / "gguf-py")]
import convert_hf_to_gguf
import gguf
import torch
import transformers
from conversion import base, chatglm, gemma, glm, phi
from safetensors.torch import save_file

here = pathlib.Path(__file__).parent
tokenizers = here / "../../tokenizer/testdata"
small = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=256, initializer_range=0.05)
gqa = dict(small, num_key_value_heads=2, rms_norm_eps=1e-5)

# A name, the class of its config, what the config says, and the tokenizer with the name
# that llama.cpp has for its pre-tokenizer (found by a hash of well-known vocabularies
# alone, so that it is told here).
models = [
    ("llama", "LlamaConfig", dict(gqa, rope_theta=500000.0, tie_word_embeddings=True, rope_scaling=dict(
        rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)), "llama3", "llama-bpe"),
    ("llama-bias", "LlamaConfig", dict(gqa, attention_bias=True, head_dim=32, rope_scaling=dict(rope_type="linear", factor=2.0)), "smollm2", "smollm"),
    ("llama-spm", "LlamaConfig", dict(gqa), "spm", None),
    ("granite", "GraniteConfig", dict(gqa, attention_multiplier=0.2, embedding_multiplier=6.0, residual_multiplier=0.5, logits_scaling=3.0, tie_word_embeddings=True), "smollm2", "smollm"),
    ("mistral", "MistralConfig", dict(gqa, sliding_window=None, head_dim=16), "llama3", "llama-bpe"),
    ("qwen2", "Qwen2Config", dict(gqa, tie_word_embeddings=True), "qwen2", "qwen2"),
    ("qwen2-yarn", "Qwen2Config", dict(gqa, tie_word_embeddings=False, rope_parameters=dict(
        rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=64)), "qwen2", "qwen2"),
    ("qwen3", "Qwen3Config", dict(gqa, head_dim=32, tie_word_embeddings=False), "qwen2", "qwen2"),
    ("gemma", "GemmaConfig", dict(gqa, head_dim=32), "gpt2", "gpt-2"),
    ("gemma2", "Gemma2Config", dict(
        gqa, head_dim=32, query_pre_attn_scalar=32, sliding_window=32, attn_logit_softcapping=2.0, final_logit_softcapping=3.0), "gpt2", "gpt-2"),
    ("gemma3", "Gemma3TextConfig", dict(gqa, head_dim=32, query_pre_attn_scalar=32, sliding_window=32, num_hidden_layers=6), "gpt2", "gpt-2"),
    ("phi3", "Phi3Config", dict(gqa, original_max_position_embeddings=64, pad_token_id=0, rope_parameters=dict(
        rope_type="longrope", rope_theta=10000.0, original_max_position_embeddings=64,
        short_factor=[1 + i / 8 for i in range(8)], long_factor=[2 + i / 4 for i in range(8)])), "gpt2", "gpt-2"),
    ("phi3-plain", "Phi3Config", dict(gqa, pad_token_id=0, original_max_position_embeddings=256, partial_rotary_factor=0.5), "gpt2", "gpt-2"),
    ("gpt_neox", "GPTNeoXConfig", dict(small, rotary_pct=0.25), "gpt2", "gpt-2"),
    ("olmo2", "Olmo2Config", dict(gqa), "gpt2", "gpt-2"),
    ("gpt_neox-serial", "GPTNeoXConfig", dict(small, rotary_pct=0.5, use_parallel_residual=False), "gpt2", "gpt-2"),
    # What the converter writes of glm's context_length is hidden_size, of its epsilon and rotary base the defaults.
    ("glm", "GlmConfig", dict(gqa, head_dim=16, attention_bias=True, pad_token_id=0, max_position_embeddings=64), "gpt2", "gpt-2"),
    ("glm4", "Glm4Config", dict(gqa, head_dim=16, attention_bias=True, pad_token_id=0), "gpt2", "gpt-2"),
    ("gpt2-untied", "GPT2Config", dict(n_embd=64, n_layer=2, n_head=4, n_positions=128, n_ctx=128, tie_word_embeddings=False), "gpt2", "gpt-2"),
    ("gpt2", "GPT2Config", dict(n_embd=64, n_layer=2, n_head=4, n_positions=128, n_ctx=128), "gpt2", "gpt-2"),
]
own = {
    "gemma": (gemma, "GemmaModel"), "gemma2": (gemma, "Gemma2Model"), "gemma3": (gemma, "Gemma3Model"),
    "phi3": (phi, "Phi3MiniModel"), "phi3-plain": (phi, "Phi3MiniModel"), "glm": (chatglm, "ChatGLMModel"), "glm4": (glm, "Glm4Model"),
}
hparams = base.ModelBase.load_hparams
templates = {"llama": "{{ messages[0]['content'] }}"}
texts = dict(bos_token="<|endoftext|>", eos_token="<|endoftext|>")
specials = {"llama": texts, "mistral": texts, "llama-spm": dict(bos_token="<s>", eos_token="</s>", unk_token="<unk>", add_bos_token=True, add_eos_token=False)}


def values(name, n):
    """n numbers that are whole multiples of 2**-19 between -1/16 and 1/16."""
    x = (np.arange(n, dtype=np.uint64) * 0x9E3779B1 + zlib.crc32(name.encode())) & 0xFFFFFFFF
    x ^= x >> 15
    x = (x * 0x2C1B3C6D) & 0xFFFFFFFF
    x ^= x >> 12
    return ((x >> 16).astype(np.float32) - 32768) / np.float32(2**19)


def spm():
    """A SentencePiece model, and what transformers makes of it as tokenizer.json."""
    import sentencepiece

    out = here / "spm"
    out.mkdir(exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        input=str(tokenizers / "train.txt"), model_prefix=str(out / "tokenizer"), vocab_size=600, model_type="bpe", byte_fallback=True,
        character_coverage=0.99, split_digits=True, normalization_rule_name="identity", remove_extra_whitespaces=False, minloglevel=2)
    (out / "tokenizer.vocab").unlink()
    t = transformers.LlamaTokenizer.from_pretrained(out, legacy=True, add_bos_token=True)
    t.backend_tokenizer.save(str(out / "tokenizer.json"), pretty=False)


def short(value):
    """A list as a hash of its JSON."""
    if isinstance(value, list) and len(value) > 64:
        return hashlib.sha256(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()
    return value


def read(path):
    """Metadata and tensors of a GGUF file."""
    r = gguf.GGUFReader(path)
    meta = {k: short(f.contents()) for k, f in r.fields.items() if not k.startswith(("GGUF.", "general.")) or k in ("general.architecture", "general.file_type")}
    tensors = [[t.name, [int(d) for d in reversed(t.shape)], t.tensor_type.name, hashlib.sha256(t.data.tobytes()).hexdigest()] for t in r.tensors]
    return dict(meta=meta, tensors=sorted(tensors))


def convert(name, config_class, settings, tokenizer, pre, folder):
    source = here / "spm" / "tokenizer.json" if tokenizer == "spm" else tokenizers / (tokenizer + ".json")
    count = len(json.loads(source.read_text())["model"]["vocab"])
    config = getattr(transformers, config_class)(vocab_size=count + (3 if name == "gemma3" else 36), bos_token_id=None, eos_token_id=0, **{k: v for k, v in settings.items()})
    model = transformers.AutoModelForCausalLM.from_config(config)
    config.architectures = [type(model).__name__]
    weights = {n: torch.from_numpy(values(n, w.numel()).reshape(w.shape)) for n, w in model.named_parameters()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(folder)
    shutil.copy(source, folder / "tokenizer.json")
    if tokenizer == "spm":
        shutil.copy(here / "spm" / "tokenizer.model", folder)
    more = dict(tokenizer_class="PreTrainedTokenizerFast", **specials.get(name, dict(eos_token="<|endoftext|>")))
    if name in templates:
        more["chat_template"] = templates[name]
    (folder / "tokenizer_config.json").write_text(json.dumps(more))
    base.TextModel.get_vocab_base_pre = lambda self, t: pre
    if name in own:  # their own take vocabularies of their own
        getattr(*own[name]).set_vocab = base.TextModel._set_vocab_gpt2
    base.ModelBase.load_hparams = staticmethod(lambda *args, **more: dict(hparams(*args, **more), rotary_pct=settings.get("rotary_pct")))  # transformers 4's spelling
    out = dict(tokenizer=tokenizer, tokenizer_config=more, config=json.loads((folder / "config.json").read_text()), weights=[[n, list(w.shape)] for n, w in weights.items()])
    for kind in ("f32", "q8_0"):
        sys.argv = ["convert", str(folder), "--outtype", kind, "--outfile", str(folder / (kind + ".gguf"))]
        convert_hf_to_gguf.main()
        out[kind] = read(folder / (kind + ".gguf"))
    return out


def main():
    torch.set_num_threads(1)
    names, all = sys.argv[2:], {}
    if names:
        all = json.loads((here / "families.json").read_text())
    else:
        spm()
    for name, *rest in models:
        if not names or name in names:
            with tempfile.TemporaryDirectory() as folder:
                all[name] = convert(name, *rest, pathlib.Path(folder))
    lines = ",\n".join(json.dumps(n) + ":" + json.dumps(m, ensure_ascii=False, separators=(",", ":")) for n, m in all.items())
    (here / "families.json").write_text("{\n" + lines + "\n}\n")


main()
