# Makes the golden files of tiny models of the families GPT-NeoX, Gemma and GLM, by
# transformers and PEFT.
#
#   pip install torch==2.15.0 transformers==5.24.0 peft==0.21.2 safetensors==0.8.0   # Python 3.11
#   python golden_gemma.py OUT [NAME ...]
#
# writes what golden_llama.py, which lies beside it, writes for a Llama, for each model
# of MODELS. Soft caps are low and windows short, so that they matter.
import pathlib
import sys

import golden_llama
import torch
import transformers
from golden_llama import VOCAB, make_folder

PLAIN = ["q_proj", "k_proj", "v_proj", "up_proj", "down_proj"]
NEOX = ["query_key_value", "dense_h_to_4h", "dense_4h_to_h"]
GLM = ["q_proj", "k_proj", "v_proj", "gate_up_proj", "down_proj"]
KINDS = ["sliding_attention", "full_attention"]
GEMMA = dict(head_dim=8, num_key_value_heads=1)
# Seeds are those with which no element of a gradient is 0 but for rounding, of which
# Adam would make a whole step in either direction; biases of keys that are not turned
# apart.
MODELS = {
    "pythia": (700, "GPTNeoX", NEOX, dict(rotary_pct=0.5, attention_dropout=0.1, hidden_dropout=0.2)),
    "neox-serial": (710, "GPTNeoX", [*NEOX, "dense"], dict(
        use_parallel_residual=False, hidden_act="gelu_fast", rotary_pct=1.0, rotary_emb_base=500.0, layer_norm_eps=1e-3,
        tie_word_embeddings=True)),
    "gemma": (720, "Gemma", PLAIN, GEMMA),
    "gemma2": (730, "Gemma2", PLAIN, GEMMA | dict(
        query_pre_attn_scalar=12, attn_logit_softcapping=1.5, final_logit_softcapping=4.0, sliding_window=5, layer_types=KINDS)),
    "gemma3": (740, "Gemma3", PLAIN, GEMMA | dict(
        query_pre_attn_scalar=12, final_logit_softcapping=6.0, sliding_window=5, layer_types=KINDS, rope_parameters={
            "full_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}})),
    "glm": (750, "Glm", GLM, dict(head_dim=8, num_key_value_heads=1)),
    "glm4": (760, "Glm4", GLM, dict(head_dim=8, num_key_value_heads=1, attention_bias=False, tie_word_embeddings=True)),
}
plain = golden_llama.plain


def make_model(seed, family, **more):
    torch.manual_seed(seed)
    text = "Text" if family == "Gemma3" else ""
    config = getattr(transformers, family + text + "Config")(**(dict(
        vocab_size=VOCAB, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=128, bos_token_id=None, eos_token_id=None, pad_token_id=None, initializer_range=0.25) | more))
    model = getattr(transformers, family + "ForCausalLM")(config).float()
    # Published files, and what save_pretrained writes, call the head of GPT-NeoX so.
    golden_llama.plain = lambda name: plain(name).replace("lm_head.", "embed_out.") if family == "GPTNeoX" else plain(name)
    with torch.no_grad():
        for name, p in model.named_parameters():
            # Norms around what changes nothing and biases around 0, so that an exchange shows.
            if p.dim() == 1:
                p.copy_(torch.randn_like(p) * 0.2 + (0.0 if name.endswith("bias") or family.startswith("Gemma") else 1.0))
    return model.eval()


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    out, names = pathlib.Path(sys.argv[1]), sys.argv[2:]
    for name, (seed, family, targets, more) in MODELS.items():
        if not names or name in names:
            make_folder(out / name, seed, make_model, targets, family=family, **more)


if __name__ == "__main__":
    main()
