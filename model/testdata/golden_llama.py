# Makes the golden files of a tiny Llama, by transformers and PEFT.
#
#   pip install torch==2.15.0 transformers==5.23.0 peft==0.21.2 safetensors==0.8.0   # Python 3.11
#   python golden_llama.py OUT
#
# writes, for two models (tied: four heads on two key/value heads, one matrix for
# embedding and head; untied: a head of its own, biases in attention, heads wider
# than hidden/heads):
#
#   OUT/<model>/config.json, model.safetensors   as transformers 5 saves them
#   OUT/<model>/golden.json                      batches, losses, nll, norms, ids of greedy texts, logits after their prompts
#   OUT/<model>/grads.safetensors                gradient of the first batch, by name
#   OUT/<model>/final.safetensors                weights after ten steps of AdamW
#   OUT/<model>/adapter/                         as PEFT saves it, B not zero
#   OUT/<model>/adapter_grads.safetensors        the same for the adapter
#   OUT/<model>/adapter_final.safetensors
#   OUT/<model>/merged.safetensors               adapted weights after merge_and_unload
#   OUT/sampling.json                            probabilities left by the logits processors
#
# Rows are padded on the right; targets of the padding and of a prompt are -100.
# All files come out the same each time but for the order of target_modules in
# adapter_config.json, which PEFT keeps as a set.
import json
import pathlib
import sys

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

STEPS, RATE, DECAY, CLIP = 10, 1e-2, 0.01, 1.0
ROWS, LENGTH, VOCAB = 2, 12, 61
TARGETS = ["q_proj", "k_proj", "v_proj", "up_proj", "down_proj"]
MODELS = {
    "tied": dict(tie_word_embeddings=True),
    "untied": dict(
        tie_word_embeddings=False, attention_bias=True, head_dim=12, rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0},
    ),
}


def make_model(seed, **more):
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, bos_token_id=None, eos_token_id=None, pad_token_id=None,
        initializer_range=0.2, **more,
    )
    model = LlamaForCausalLM(config).float()
    with torch.no_grad():
        for name, p in model.named_parameters():
            # Norms around 1 and biases around 0, so that an exchange shows.
            if p.dim() == 1:
                p.copy_(torch.randn_like(p) * 0.2 + (0.0 if name.endswith("bias") else 1.0))
    return model.eval()


def make_batches():
    g = torch.Generator().manual_seed(7)
    batches = []
    for short in (8, 11):
        ids = torch.randint(1, VOCAB, (ROWS, LENGTH), generator=g)
        mask = torch.ones_like(ids)
        ids[1, short:], mask[1, short:] = 0, 0
        labels = ids.masked_fill(mask == 0, -100)
        labels[0, :4] = -100  # a prompt
        batches.append((ids, mask, labels))
    return batches


def run(model, batch):
    ids, mask, labels = batch
    out = model(input_ids=ids, attention_mask=mask, labels=labels)
    nll = torch.nn.functional.cross_entropy(
        out.logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="none")
    return out.loss, nll.view(ROWS, LENGTH - 1)


def trained(model):
    return [(n, p) for n, p in model.named_parameters() if p.requires_grad]


def plain(name):
    return name.removeprefix("base_model.model.").replace(".default.", ".")


def tensors(model, value):
    return {plain(n): value(p).detach().clone().contiguous() for n, p in trained(model)}


def ten_steps(model, batches):
    matrices = [p for _, p in trained(model) if p.dim() > 1]
    vectors = [p for _, p in trained(model) if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=RATE, betas=(0.9, 0.999), eps=1e-8)
    losses, norms = [], []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss, _ = run(model, batches[step % len(batches)])
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_([p for _, p in trained(model)], CLIP).item())
        optimizer.step()
        losses.append(loss.item())
    return {"step_losses": losses, "step_norms": norms}


def first(model, batch, path):
    model.zero_grad()
    loss, nll = run(model, batch)
    loss.backward()
    save_file(tensors(model, lambda p: p.grad), path, metadata={"format": "pt"})
    return {"loss": loss.item(), "nll": nll.tolist()}


def greedy(model):
    texts = []
    for n, new, penalty in ((5, 40, 1.0), (70, 20, 1.5)):
        g = torch.Generator().manual_seed(n)
        prompt = torch.randint(1, VOCAB, (1, n), generator=g)
        out = model.generate(input_ids=prompt, attention_mask=torch.ones_like(prompt), do_sample=False,
                             max_new_tokens=new, repetition_penalty=penalty)
        logits = model(input_ids=prompt).logits[0, -1]
        texts.append({"prompt": prompt[0].tolist(), "penalty": penalty, "ids": out[0, n:].tolist(), "logits": logits.tolist()})
    return texts


def make_folder(folder, seed, make=make_model, targets=TARGETS, **more):
    folder.mkdir(parents=True, exist_ok=True)
    batches = make_batches()
    model = make(seed, **more)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    golden = {"batches": [{"ids": i.tolist(), "labels": l.tolist(), "mask": m.tolist()} for i, m, l in batches]}
    golden["full"] = {"greedy": greedy(model)} | first(model, batches[0], folder / "grads.safetensors")
    golden["full"] |= ten_steps(model, batches)
    save_file(tensors(model, lambda p: p), folder / "final.safetensors", metadata={"format": "pt"})

    # save_pretrained records where the base was loaded from; here it is made anew.
    model = get_peft_model(make(seed, **more), LoraConfig(
        r=4, lora_alpha=8, lora_dropout=0.0, target_modules=targets, bias="none", task_type="CAUSAL_LM"))
    model.eval()
    torch.manual_seed(seed + 1)
    with torch.no_grad():
        for name, p in trained(model):
            if ".lora_B." in name:
                p.normal_(0.0, 0.1)
    model.peft_config["default"].base_model_name_or_path = folder.name
    model.save_pretrained(folder / "adapter")
    (folder / "adapter" / "README.md").unlink(missing_ok=True)
    golden["lora"] = {"greedy": greedy(model)} | first(model, batches[0], folder / "adapter_grads.safetensors")
    model.merge_adapter()
    merged = {
        plain(n).replace(".base_layer.", "."): p.detach().clone()
        for n, p in model.named_parameters() if n.endswith(".base_layer.weight")}
    save_file(merged, folder / "merged.safetensors", metadata={"format": "pt"})
    model.unmerge_adapter()
    golden["lora"] |= ten_steps(model, batches)
    save_file(tensors(model, lambda p: p), folder / "adapter_final.safetensors", metadata={"format": "pt"})
    (folder / "golden.json").write_text(json.dumps(golden, indent=None, separators=(",", ":")) + "\n")


def make_sampling(path):
    torch.manual_seed(3)
    logits, seen = torch.randn(12) * 2, [1, 4, 4, 7]
    cases = []
    for name, settings in {
        "plain": {},
        "temperature": dict(temperature=0.7),
        "top_k": dict(top_k=3),
        "top_k beyond the vocabulary": dict(top_k=40),
        "top_p": dict(top_p=0.8),
        "top_p of almost nothing": dict(top_p=0.01),
        "min_p": dict(min_p=0.1),
        "repetition_penalty": dict(repetition_penalty=1.5),
        "all": dict(repetition_penalty=1.3, temperature=1.7, top_k=8, top_p=0.9, min_p=0.12),
        "all, cold": dict(repetition_penalty=0.8, temperature=0.5, top_k=6, top_p=0.95, min_p=0.02),
    }.items():
        config = GenerationConfig(do_sample=True, **({"top_k": 0} | settings))
        model = LlamaForCausalLM(LlamaConfig(vocab_size=12, hidden_size=4, intermediate_size=4, num_hidden_layers=1, num_attention_heads=1))
        config, _ = model._prepare_generation_config(config)
        processors = model._get_logits_processor(config, input_ids_seq_length=len(seen))
        scores = processors(torch.tensor([seen]), logits[None].clone())
        cases.append({"name": name, "settings": settings, "processors": [type(p).__name__ for p in processors],
                      "probabilities": torch.softmax(scores[0].double(), -1).tolist()})
    golden = {"logits": logits.tolist(), "seen": seen, "cases": cases}
    path.write_text(json.dumps(golden, indent=1) + "\n")


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    out = pathlib.Path(sys.argv[1])
    for seed, (name, more) in enumerate(MODELS.items()):
        make_folder(out / name, 100 + 10 * seed, **more)
    make_sampling(out / "sampling.json")


if __name__ == "__main__":
    main()
