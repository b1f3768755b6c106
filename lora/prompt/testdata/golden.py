# Makes golden files of prompt tuning and prefix tuning, by PEFT.
#
#   pip install torch==2.15.0 transformers==5.24.0 peft==0.21.2 safetensors==0.8.0   # Python 3.11
#   python golden.py ../../../model/testdata OUT
#
# writes, for the golden models tied (a Llama of grouped key heads), untied (heads wider than
# hidden/heads) and gpt2, and for prompt, prefix and prefix with a projection, to
# OUT/<model>-<kind>/:
#
#   adapter/                as PEFT saves what training begins with, values drawn anew
#   start.safetensors       what is trained, by name, before the first step
#   golden.json             the model's batches with virtual tokens before each row, losses,
#                           nll, norms, ids of greedy texts, logits after their prompts
#   grads.safetensors       gradient of the first batch, by name
#   final.safetensors       what is trained after ten steps of AdamW
#   trained/                as PEFT saves it then
#   trained.json            nll of the first batch then
#
# The virtual tokens of the batches have the id 0, which nobody looks at. The first token of
# a row is no target. Everything but batches and folders is done as golden_llama.py does it.
import json
import pathlib
import sys

import torch
from peft import PrefixTuningConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, RepetitionPenaltyLogitsProcessor

VIRTUAL = 3
KINDS = {
    "prompt": PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=VIRTUAL),
    "prefix": PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=VIRTUAL),
    "projection": PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=VIRTUAL, prefix_projection=True, encoder_hidden_size=5),
}


def run(model, batch, kind):
    """Loss and nll; a row of the nll has the virtual tokens in front, as zeros where it has none."""
    ids, mask, labels = batch
    out = model(input_ids=ids, attention_mask=mask, labels=labels)
    logits = out.logits
    if kind == "prompt":
        labels = torch.cat((torch.full((labels.shape[0], VIRTUAL), -100), labels), dim=1)
    nll = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="none").view(labels.shape[0], -1)
    if kind != "prompt":
        nll = torch.cat((torch.zeros(nll.shape[0], VIRTUAL), nll), dim=1)
    return out.loss, nll


def plain(name):
    return name.removeprefix("base_model.").replace(".default.", ".")


def trained(model):
    return {plain(n): p for n, p in model.named_parameters() if p.requires_grad}


def save(model, path, value):
    save_file({n: value(p).detach().clone().contiguous() for n, p in trained(model).items()}, path, metadata={"format": "pt"})


def adapter(model, folder):
    # Where the base was loaded from is no business of others.
    model.peft_config["default"].base_model_name_or_path = "base"
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)


def greedy(model):
    """Each token from PEFT's forward pass over all before it. PEFT's generate with transformers
    5.24 is not the same: it leaves prefixes out, and gives later tokens of prompt tuning other
    positions than the forward pass has for them."""
    texts = []
    for n, new, penalty in ((5, 20, 1.0), (40, 12, 1.5)):
        ids = torch.randint(1, model.config.vocab_size, (1, n), generator=torch.Generator().manual_seed(n))
        processor, first = RepetitionPenaltyLogitsProcessor(penalty=penalty), None
        for _ in range(new):
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[:, -1]
            first = logits[0].tolist() if first is None else first
            ids = torch.cat((ids, processor(ids, logits).argmax(-1, keepdim=True)), dim=1)
        texts.append({"prompt": ids[0, :n].tolist(), "penalty": penalty, "ids": ids[0, n:].tolist(), "logits": first})
    return texts


def make(base, kind, config, folder, seed):
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    batches = []
    for b in json.loads((base / "golden.json").read_text())["batches"]:
        ids, mask, labels = (torch.tensor(b[k]) for k in ("ids", "mask", "labels"))
        labels[:, 0] = -100
        batches.append((ids, mask, labels))
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base).float(), config).eval()
    with torch.no_grad():
        for p in trained(model).values():
            p.normal_(0.0, 0.5)
    adapter(model, folder / "adapter")
    save(model, folder / "start.safetensors", lambda p: p)
    front = lambda x, v: [[v] * VIRTUAL + row for row in x.tolist()]
    golden = {"batches": [{"ids": front(i, 0), "labels": front(l, -100), "mask": front(m, 1)} for i, m, l in batches]}
    with torch.no_grad():
        lora = {"greedy": greedy(model)}
    loss, nll = run(model, batches[0], kind)
    loss.backward()
    save(model, folder / "grads.safetensors", lambda p: p.grad)
    lora |= {"loss": loss.item(), "nll": nll.tolist()}
    groups = [{"params": [p for p in trained(model).values() if p.dim() > 1], "weight_decay": 0.01},
              {"params": [p for p in trained(model).values() if p.dim() == 1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=1e-2, betas=(0.9, 0.999), eps=1e-8)
    losses, norms = [], []
    for step in range(10):
        optimizer.zero_grad()
        loss, _ = run(model, batches[step % len(batches)], kind)
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(list(trained(model).values()), 1.0).item())
        optimizer.step()
        losses.append(loss.item())
    golden["lora"] = lora | {"step_losses": losses, "step_norms": norms}
    (folder / "golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    save(model, folder / "final.safetensors", lambda p: p)
    adapter(model, folder / "trained")
    with torch.no_grad():
        (folder / "trained.json").write_text(json.dumps(run(model, batches[0], kind)[1].tolist()) + "\n")


def main():
    torch.set_num_threads(1)
    models, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    for seed, name in enumerate(("tied", "untied", "gpt2")):
        for kind, config in KINDS.items():
            config.inference_mode = False
            config.num_layers = config.token_dim = config.num_attention_heads = None
            make(models / name, kind, config, out / f"{name}-{kind}", seed)


if __name__ == "__main__":
    main()
