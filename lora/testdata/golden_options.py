# Makes golden adapters with PEFT's options, and checks adapters that gotune wrote.
#
#   pip install torch==2.15.0 transformers==5.24.0 peft==0.21.2 safetensors==0.8.0   # Python 3.11
#   python golden_options.py make ../../model/testdata OUT
#   python golden_options.py check ../../model/testdata WRITTEN > OUT/read.json
#
# "make" writes for each case below, of the model that it names:
#
#   OUT/<case>/adapter_config.json, adapter_model.safetensors   before training, B not zero
#   OUT/<case>/grads.safetensors       gradients of the model's first golden batch, by PEFT's keys
#   OUT/<case>/final.safetensors       values after ten steps of AdamW
#   OUT/<case>/merged.safetensors      weights that merge_and_unload changes, in the cases that say so
#   OUT/golden.json                    loss, nll of each label but a row's first, losses and norms of the steps
#   OUT/plain/                         the case pissa after ten steps as save_pretrained converts it to plain LoRA
#   OUT/weighted.json, OUT/weighted-<kind>.safetensors   add_weighted_adapter of the adapters below
#
# "check" loads the folders that the test TestWriteForPEFT wrote, WRITTEN/<case>, into the
# model of the case as PEFT loads any, one of each case below and one of each folder of the
# models. Each tensor must be in PEFT's model by its key, and no key that PEFT would have saved
# may be missing. It prints of each the loss of the first golden batch, the logits after the first
# golden prompt, the config and the SHA-256 of the header and of all of the weights that were read.
import hashlib
import json
import pathlib
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load, load_file, save_file
from transformers import AutoModelForCausalLM

STEPS, RATE, DECAY, CLIP = 10, 1e-2, 0.01, 1.0
CASES = {
    "patterns": ("untied", dict(
        r=4, lora_alpha=8, target_modules=["q_proj", "k_proj", "down_proj"], use_rslora=True,
        rank_pattern={"layers.0.self_attn.q_proj": 2, "down_proj": 6},
        alpha_pattern={r"layers\.[01]\.mlp\.down_proj": 3, "k_proj": 5})),
    "dora": ("untied", dict(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"], use_dora=True)),
    "dora-gpt2": ("gpt2", dict(r=3, lora_alpha=8, target_modules=["c_attn", "mlp.c_proj"], use_dora=True)),
    "dora-pissa": ("tied", dict(r=3, lora_alpha=6, target_modules=["v_proj"], use_dora=True, init_lora_weights="pissa")),
    "pissa": ("tied", dict(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"], init_lora_weights="pissa")),
    "pissa-gpt2": ("gpt2-untied", dict(r=4, lora_alpha=2, target_modules=["c_attn"], init_lora_weights="pissa", use_rslora=True)),
    "olora": ("tied", dict(r=4, lora_alpha=8, target_modules=["v_proj", "down_proj"], init_lora_weights="olora")),
    "saved": ("untied", dict(r=2, lora_alpha=4, target_modules=["q_proj"], modules_to_save=["lm_head", "norm", "embed_tokens"])),
    "saved-mlp": ("untied", dict(r=2, lora_alpha=4, target_modules=["q_proj", "down_proj"], modules_to_save=["layers.0.mlp"])),
    "saved-gpt2": ("gpt2", dict(r=2, lora_alpha=4, target_modules=["c_attn", "c_fc"], modules_to_save=["wte", "ln_f", "h.1.mlp.c_fc"])),
    "untied-table": ("tied", dict(r=2, lora_alpha=4, target_modules=["q_proj"], modules_to_save=["embed_tokens"])),
    "untied-head": ("tied", dict(r=2, lora_alpha=4, target_modules=["q_proj"], modules_to_save=["lm_head"])),
    "kept-tied": ("tied", dict(r=2, lora_alpha=4, target_modules=["q_proj"], modules_to_save=["embed_tokens"], ensure_weight_tying=True)),
    "bias-all": ("gpt2", dict(r=2, lora_alpha=4, target_modules=["c_attn"], bias="all")),
    "bias-only": ("untied", dict(r=2, lora_alpha=4, target_modules=["q_proj", "o_proj"], bias="lora_only")),
    "regex": ("untied", dict(
        r=2, lora_alpha=4, target_modules=r"(?!.*layers\.1.*gate).*\.layers\.\d+\.(self_attn\.[qv]|mlp\.(down|gate))_proj",
        exclude_modules=["layers.0.self_attn.v_proj"])),
    "layers": ("untied", dict(
        r=2, lora_alpha=4, target_modules=["q_proj", "up_proj"], layers_to_transform=[1], layers_pattern=["layers"])),
    "all-linear": ("gpt2-untied", dict(r=1, lora_alpha=2, target_modules="all-linear", exclude_modules=r".*\.1\.mlp.*")),
    "gaussian": ("tied", dict(r=4, lora_alpha=4, target_modules=["q_proj"], init_lora_weights="gaussian")),
    "random": ("tied", dict(r=4, lora_alpha=4, target_modules=["o_proj"], init_lora_weights=False)),
}
MERGED = ("dora", "dora-gpt2", "pissa")
WEIGHTED = {
    "first": dict(r=3, lora_alpha=6, target_modules=["q_proj", "v_proj"]),
    "second": dict(r=3, lora_alpha=3, target_modules=["v_proj", "down_proj"]),
}
WEIGHTS = [0.75, -0.5]


def base(models, name):
    model = AutoModelForCausalLM.from_pretrained(models / name, dtype=torch.float32).eval()
    model.config._name_or_path = name
    model.name_or_path = name
    return model


def batches(models, name):
    golden = json.loads((models / name / "golden.json").read_text())
    return [tuple(torch.tensor(b[k]) for k in ("ids", "labels", "mask")) for b in golden["batches"]]


def run(model, batch):
    ids, labels, mask = batch
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
    nll = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="none").view(ids.shape[0], -1)
    return nll.sum() / (labels[:, 1:] != -100).sum(), nll


def trained(model):
    seen = set()
    for name, p in model.named_parameters():
        if p.requires_grad and id(p) not in seen:
            seen.add(id(p))
            yield name, p


def key(name):
    name = name.replace(".modules_to_save.default", "").replace(".default", "").removesuffix(".")
    return name.removesuffix(".weight") if "magnitude" in name else name


def tensors(model, value):
    return {key(n): value(p).detach().clone().contiguous() for n, p in trained(model)}


def save(dir, name, values):
    save_file(values, dir / name, metadata={"format": "pt"})


def keep(model, dir, **more):
    model.peft_config["default"].base_model_name_or_path = None
    model.save_pretrained(dir, save_embedding_layers=False, **more)
    (dir / "README.md").unlink(missing_ok=True)


def steps(model, data):
    groups = [
        {"params": [p for _, p in trained(model) if p.dim() > 1], "weight_decay": DECAY},
        {"params": [p for _, p in trained(model) if p.dim() == 1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=RATE, betas=(0.9, 0.999), eps=1e-8)
    losses, norms = [], []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss, _ = run(model, data[step % len(data)])
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_([p for _, p in trained(model)], CLIP).item())
        optimizer.step()
        losses.append(loss.item())
    return {"step_losses": losses, "step_norms": norms}


def shake(model, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, p in trained(model):
            if ".lora_B." in name and not p.any():
                p.normal_(0.0, 0.1)
            elif ".lora_B." not in name and ".lora_A." not in name:
                p.add_(0.05 * torch.randn_like(p))  # so that an exchange with the base shows


def merged(model, dir):
    before = {n.replace(".base_layer", ""): p.detach().clone() for n, p in model.named_parameters()}
    model.merge_adapter()
    after = {n.replace("base_model.model.", "").replace(".base_layer", ""): p.detach().clone()
             for n, p in model.named_parameters() if n.endswith(".base_layer.weight")}
    save(dir, "merged.safetensors", after)
    model.unmerge_adapter()
    assert before


def make_case(models, out, name, seed):
    model_name, options = CASES[name]
    dir, data = out / name, batches(models, model_name)
    torch.manual_seed(seed)
    model = get_peft_model(base(models, model_name), LoraConfig(task_type="CAUSAL_LM", **options)).eval()
    if name == "pissa":
        model.peft_config["default"].init_lora_weights = True
        keep(model, out / "initial")
        model.peft_config["default"].init_lora_weights = "pissa"
    shake(model, seed)
    keep(model, dir)
    model.train(False)
    loss, nll = run(model, data[0])
    loss.backward()
    save(dir, "grads.safetensors", tensors(model, lambda p: p.grad))
    golden = {"model": model_name, "loss": loss.item(), "nll": nll.tolist()}
    if name in MERGED:
        merged(model, dir)
    model.peft_config["default"].inference_mode = False
    golden |= steps(model, data)
    save(dir, "final.safetensors", tensors(model, lambda p: p))
    if name == "pissa":
        golden["after"] = run(model, data[0])[0].item()
        keep(model, out / "plain", path_initial_model_for_weight_conversion=str(out / "initial"))
        for path in (out / "initial").iterdir():
            path.unlink()
        (out / "initial").rmdir()
    return golden


def make_weighted(models, out):
    model, data = base(models, "untied"), batches(models, "untied")
    for i, (name, options) in enumerate(WEIGHTED.items()):
        config = LoraConfig(task_type="CAUSAL_LM", **options)
        if i == 0:
            model = get_peft_model(model, config, adapter_name=name)
        else:
            model.add_adapter(name, config)
    torch.manual_seed(9)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if ".lora_B." in name:
                p.normal_(0.0, 0.1)
    for config in model.peft_config.values():
        config.base_model_name_or_path = None
    model.save_pretrained(out / "weighted")
    (out / "weighted" / "README.md").unlink(missing_ok=True)
    golden = {}
    for kind, rank in (("linear", None), ("cat", None), ("svd", None), ("svd", 5)):
        name = kind + (str(rank) if rank else "")
        model.add_weighted_adapter(list(WEIGHTED), WEIGHTS, name, combination_type=kind, svd_rank=rank)
        model.set_adapter(name)
        loss, nll = run(model.eval(), data[0])
        golden[name] = {"rank": model.peft_config[name].r, "loss": loss.item(), "nll": nll.tolist()}
    (out / "weighted.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


def make(models, out):
    out.mkdir(parents=True, exist_ok=True)
    golden = {}
    for seed, name in enumerate(CASES):
        golden[name] = make_case(models, out, name, 700 + seed)
    (out / "golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    make_weighted(models, out)


def check(models, written):
    found = {}
    for dir in sorted(p for p in written.iterdir() if p.is_dir()):
        name = (dir / "base.txt").read_text().strip()
        model = PeftModel.from_pretrained(base(models, name), dir).eval()
        raw = (dir / "adapter_model.safetensors").read_bytes()
        header = raw[:8 + int.from_bytes(raw[:8], "little")]
        got = load(raw)
        state = {key(n): p for n, p in model.state_dict().items()}
        wrong = sorted(k for k in got if k not in state or not torch.equal(state[k], got[k]))
        assert not wrong, f"{dir.name}: PEFT did not take {wrong}"
        wanted = set(get_peft_model_state_dict(model, save_embedding_layers=False))
        assert wanted == set(got), f"{dir.name}: PEFT would have saved {sorted(wanted ^ set(got))}"
        if dir.name == name:  # a family: PEFT trained from the same values
            final = load_file(models / name / "adapter_final.safetensors")
            off = max(((got["base_model.model." + k] - v).abs().max() / v.abs().max()).item() for k, v in final.items())
            print(f"{name}: {len(final)} tensors are off PEFT's own after ten steps by {off:.1e} of the largest at most", file=sys.stderr)
        golden = json.loads((models / name / "golden.json").read_text())
        with torch.no_grad():
            loss = run(model, batches(models, name)[0])[0].item()
            logits = model(input_ids=torch.tensor([golden["full"]["greedy"][0]["prompt"]])).logits[0, -1]
        found[dir.name] = {
            "loss": loss, "logits": [float(f"{v:.9g}") for v in logits.tolist()],
            "config": json.loads((dir / "adapter_config.json").read_text()), "header": hashlib.sha256(header).hexdigest(),
            "weights": hashlib.sha256(raw).hexdigest()}
    lines = ",\n".join(json.dumps(n) + ":" + json.dumps(f, separators=(",", ":")) for n, f in found.items())
    print("{\n" + lines + "\n}")


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    {"make": make, "check": check}[sys.argv[1]](pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))


if __name__ == "__main__":
    main()
