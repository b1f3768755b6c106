# Makes the golden files of a tiny GPT-2, by transformers and PEFT.
#
#   pip install torch==2.15.0 transformers==5.23.0 peft==0.21.2 safetensors==0.8.0   # Python 3.11
#   python golden_gpt2.py OUT
#
# writes what golden_llama.py, which lies beside it, writes for a Llama, for two
# models: gpt2, as the family is by default, and gpt2-untied with a head of its own,
# a feed-forward that is not four times as wide, scores that are not scaled and
# another epsilon.
import pathlib
import sys

import torch
from golden_llama import VOCAB, make_folder
from transformers import GPT2Config, GPT2LMHeadModel

TARGETS = ["c_attn", "c_proj", "c_fc"]
MODELS = {
    "gpt2": dict(),
    "gpt2-untied": dict(
        tie_word_embeddings=False, n_inner=48, scale_attn_weights=False, layer_norm_epsilon=1e-3,
        activation_function="gelu_pytorch_tanh", resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.2,
        initializer_range=0.1,
    ),
}


def make_model(seed, **more):
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=VOCAB, n_embd=32, n_layer=2, n_head=4, n_positions=128, bos_token_id=None, eos_token_id=None,
        pad_token_id=None, **({"initializer_range": 0.2} | more),
    )
    model = GPT2LMHeadModel(config).float()
    with torch.no_grad():
        for name, p in model.named_parameters():
            # Norms around 1 and biases around 0, so that an exchange shows.
            if p.dim() == 1:
                p.copy_(torch.randn_like(p) * 0.2 + (0.0 if name.endswith("bias") else 1.0))
    return model.eval()


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    out = pathlib.Path(sys.argv[1])
    for seed, (name, more) in enumerate(MODELS.items()):
        make_folder(out / name, 300 + 10 * seed, make_model, TARGETS, **more)


if __name__ == "__main__":
    main()
