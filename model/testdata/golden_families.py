# Makes the golden files of tiny models of the families that are like Llama, by
# transformers and PEFT.
#
#   pip install torch==2.15.0 transformers==5.24.0 peft==0.21.2 safetensors==0.8.0   # Python 3.11
#   python golden_families.py OUT [NAME ...]
#
# writes what golden_llama.py, which lies beside it, writes for a Llama, for each model
# of MODELS, and OUT/rope.json: logits of the Llama of the folder "tied" with each way to
# scale rotary embeddings, and the frequencies of more of them.
import json
import pathlib
import sys

import torch
import transformers
from golden_llama import VOCAB, make_folder
from golden_llama import make_model as make_llama
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

PLAIN = ["q_proj", "k_proj", "v_proj", "up_proj", "down_proj"]
FUSED = ["qkv_proj", "gate_up_proj", "down_proj"]
LLAMA3 = {"rope_type": "llama3", "rope_theta": 100.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}
YARN = {"rope_type": "yarn", "rope_theta": 100.0, "factor": 4.0, "original_max_position_embeddings": 32}
# The rows of the batches are longer than 7 tokens, and so become the short prompts.
LONGROPE = {"rope_type": "longrope", "rope_theta": 10000.0, "short_factor": [1.0, 1.5], "long_factor": [2.0, 7.0],
            "original_max_position_embeddings": 7}
# Seeds are those with which no element of a gradient is 0 but for rounding, of which
# Adam would make a whole step in either direction.
MODELS = {
    "llama3": (500, "Llama", PLAIN, dict(head_dim=8, tie_word_embeddings=True, rope_parameters=LLAMA3)),
    "mistral": (510, "Mistral", PLAIN, dict(head_dim=8, sliding_window=5)),
    "qwen2": (520, "Qwen2", PLAIN, dict(
        tie_word_embeddings=True, use_sliding_window=True, sliding_window=5, max_window_layers=1, rope_parameters=YARN)),
    "qwen3": (530, "Qwen3", PLAIN, dict(head_dim=6, tie_word_embeddings=True, num_attention_heads=4, num_key_value_heads=2)),
    "phi3": (540, "Phi3", FUSED, dict(sliding_window=5)),
    "phi3-longrope": (551, "Phi3", FUSED, dict(
        tie_word_embeddings=True, original_max_position_embeddings=7, rope_parameters=LONGROPE | {"partial_rotary_factor": 0.5})),
    "olmo2": (560, "Olmo2", PLAIN, dict()),
    "granite": (570, "Granite", PLAIN, dict(
        tie_word_embeddings=True, embedding_multiplier=1.5, logits_scaling=0.75, residual_multiplier=0.4, attention_multiplier=0.25)),
}


def make_model(seed, family, **more):
    torch.manual_seed(seed)
    config = getattr(transformers, family + "Config")(**(dict(
        vocab_size=VOCAB, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=128, bos_token_id=None, eos_token_id=None, pad_token_id=None,
        initializer_range=0.25) | more))
    model = getattr(transformers, family + "ForCausalLM")(config).float()
    with torch.no_grad():
        for name, p in model.named_parameters():
            # Norms around 1 and biases around 0, so that an exchange shows.
            if p.dim() == 1:
                p.copy_(torch.randn_like(p) * 0.2 + (0.0 if name.endswith("bias") else 1.0))
    return model.eval()


# Ways to scale, as rope_scaling of transformers 4 has them beside rope_theta; heads have 8
# elements. Prompts of longrope are short ones and long ones.
SCALINGS = {
    "linear": {"rope_type": "linear", "factor": 2.5},
    "linear of old": {"type": "linear", "factor": 4.0},
    "dynamic": {"rope_type": "dynamic", "factor": 4.0},
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32},
    "yarn, edges": {"rope_type": "yarn", "factor": 16.0, "original_max_position_embeddings": 64, "beta_fast": 4.0,
                    "beta_slow": 0.5, "attention_factor": 1.25, "truncate": False},
    "yarn, mscale": {"rope_type": "yarn", "factor": 40.0, "original_max_position_embeddings": 64, "beta_fast": 8.0,
                     "beta_slow": 2.0, "mscale": 0.7, "mscale_all_dim": 1.3},
    "yarn, one edge": {"rope_type": "yarn", "factor": 2.0, "beta_fast": 1.0, "beta_slow": 1.0, "truncate": False},
    "llama3": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 64},
    "longrope": {"rope_type": "longrope", "short_factor": [1.0, 1.1, 1.5, 2.0], "long_factor": [1.0, 2.0, 4.0, 16.0],
                 "original_max_position_embeddings": 20},
    "longrope, factors": {"type": "longrope", "short_factor": [1.0, 1.1, 1.5, 2.0], "long_factor": [1.0, 2.0, 4.0, 16.0],
                          "factor": 3.0, "attention_factor": 0.8, "original_max_position_embeddings": 20},
}


def make_rope(path):
    cases = []
    for name, scaling in SCALINGS.items():
        model = make_llama(100, tie_word_embeddings=True, rope_scaling=dict(scaling), rope_theta=50.0)
        case = {"name": name, "scaling": scaling, "theta": 50.0, "factor": model.model.rotary_emb.attention_scaling,
                "frequencies": [model.model.rotary_emb.original_inv_freq.tolist()], "texts": []}
        if "longrope" in name:
            kind = ROPE_INIT_FUNCTIONS["longrope"]
            case["frequencies"].append(kind(model.config, "cpu", seq_len=100)[0].tolist())
        for n in (12, 40):
            prompt = torch.randint(1, VOCAB, (1, n), generator=torch.Generator().manual_seed(n))
            case["texts"].append({"prompt": prompt[0].tolist(), "logits": model(input_ids=prompt).logits[0, -1].tolist()})
        cases.append(case)
    path.write_text(json.dumps(cases, separators=(",", ":")) + "\n")


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    out, names = pathlib.Path(sys.argv[1]), sys.argv[2:]
    for name, (seed, family, targets, more) in MODELS.items():
        if not names or name in names:
            make_folder(out / name, seed, make_model, targets, family=family, **more)
    if not names or "rope" in names:
        with torch.no_grad():
            make_rope(out / "rope.json")


if __name__ == "__main__":
    main()
