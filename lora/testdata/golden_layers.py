# Makes adapters with rsLoRA and with some layers only, by PEFT.
#
#   pip install torch==2.15.0 transformers==5.23.0 peft==0.21.2 safetensors==0.8.0   # Python 3.11
#   python golden_layers.py ../../model/testdata/tied OUT
#
# writes, for each case below, OUT/<case>/ as PEFT saves an adapter of the model,
# B not zero, and OUT/nll.json: the nll of each label but a row's first of the
# model's first golden batch. The order of target_modules, which PEFT keeps as a
# set, is not the same each time.
import json
import pathlib
import sys

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaForCausalLM

CASES = {
    "rslora": dict(use_rslora=True),
    "last": dict(layers_to_transform=[1]),
    "one": dict(layers_to_transform=0, layers_pattern="layers", use_rslora=True),
}


def nll(model, batch):
    ids, labels, mask = (torch.tensor(batch[k]) for k in ("ids", "labels", "mask"))
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="none")
    return loss.view(labels.shape[0], -1).tolist()


def main():
    torch.set_num_threads(1)
    base, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    batch = json.loads((base / "golden.json").read_text())["batches"][0]
    golden = {}
    for seed, (name, more) in enumerate(CASES.items()):
        torch.manual_seed(seed)
        model = get_peft_model(LlamaForCausalLM.from_pretrained(base).float(), LoraConfig(
            r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM", **more)).eval()
        with torch.no_grad():
            for key, p in model.named_parameters():
                if ".lora_B." in key:
                    p.normal_(0.0, 0.1)
            golden[name] = nll(model, batch)
        model.peft_config["default"].base_model_name_or_path = base.name
        model.save_pretrained(out / name)
        (out / name / "README.md").unlink(missing_ok=True)
    (out / "nll.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
