# Makes families.json: what PEFT computes with virtual tokens in a model of each family.
#
#   pip install torch==2.15.0 transformers==5.24.0 peft==0.21.2 safetensors==0.8.0   # Python 3.11
#   python families.py ../../../model/testdata families.json
#
# Of each golden model and each of prompt and prefix tuning, whose table holds sin(i)/2 at
# place i: the nll of the model's first batch as in golden.py, and the norm of the table's
# gradient. Of the embeddings that prompt tuning begins from, those of the ids 1 and 2.
import copy
import json
import pathlib
import sys

import torch
from golden import KINDS, VIRTUAL, run, trained
from peft import get_peft_model
from transformers import AutoModelForCausalLM

torch.set_num_threads(1)
base, out = pathlib.Path(sys.argv[1]), {}
for folder in sorted(p.parent for p in base.glob("*/golden.json")):
    family = out[folder.name] = {}
    batch = json.loads((folder / "golden.json").read_text())["batches"][0]
    ids, mask, labels = (torch.tensor(batch[k]) for k in ("ids", "mask", "labels"))
    labels[:, 0] = -100
    before = torch.zeros(ids.shape[0], VIRTUAL, dtype=ids.dtype)
    for kind in ("prompt", "prefix"):
        model = AutoModelForCausalLM.from_pretrained(folder).float()
        if kind == "prompt":
            family["embedded"] = model.get_input_embeddings()(torch.tensor([1, 2])).flatten().tolist()
        model = get_peft_model(model, copy.deepcopy(KINDS[kind])).eval()
        (table,) = trained(model).values()
        with torch.no_grad():
            table.copy_((torch.arange(table.numel(), dtype=torch.float64).sin() / 2).view_as(table))
        loss, nll = run(model, (ids, mask, labels), kind)
        loss.backward()
        family[kind] = {"nll": nll.tolist(), "norm": table.grad.norm().item()}
    family["batch"] = {
        "ids": torch.cat((before, ids), 1).tolist(), "mask": torch.cat((before + 1, mask), 1).tolist(),
        "labels": torch.cat((before - 100, labels), 1).tolist(),
    }
pathlib.Path(sys.argv[2]).write_text("{\n" + ",\n".join(f"{json.dumps(n)}: {json.dumps(f)}" for n, f in out.items()) + "\n}\n")
