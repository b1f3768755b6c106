# Makes optimizers.json: what torch.optim.SGD, torch.optim.AdamW with parameter
# groups, PEFT's create_loraplus_optimizer and the algorithm of the Lion paper make
# of the gradients that the test computes by the same formula.
#
#   pip install torch==2.15.0 numpy==2.4.6 peft==0.21.2 transformers==5.23.0
#   python optimizers.py > optimizers.json
import json

import numpy as np
import peft
import torch
from peft.optimizers import create_loraplus_optimizer

SHAPES = {"a.weight": (3, 5), "b.weight": (17,), "c.weight": (8, 4)}
STEPS = 10


def value(tensor, i):
    return np.float32(((i * 37 + tensor * 11) % 101 - 50) / 64)


def grad(tensor, step, i):
    # Step 3 is so large that it is clipped, step 5 so small that epsilon counts.
    size = {3: 64.0, 5: 2.0**-26}.get(step, 1.0)
    return np.float32(((i * 53 + step * 29 + tensor * 7) % 127 - 63) / 256 * size)


def fill(f, shape):
    n = int(np.prod(shape))
    return torch.from_numpy(np.array([f(i) for i in range(n)], dtype=np.float32)).reshape(shape)


class Lion(torch.optim.Optimizer):
    """Algorithm 2 of arXiv:2302.06675, line by line."""

    def __init__(self, params, lr, betas, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                c = beta1 * m + (1 - beta1) * p.grad
                p -= group["lr"] * (torch.sign(c) + group["weight_decay"] * p)
                m.copy_(beta2 * m + (1 - beta2) * p.grad)


def follow(named, opt):
    """Ten steps of an optimizer whose rates fall; what they leave behind."""
    for group in opt.param_groups:
        group["first"] = group["lr"]
    steps = []
    for step in range(STEPS):
        for group in opt.param_groups:
            group["lr"] = group["first"] * (1 - step / 20)
        for t, p in enumerate(named.values()):
            p.grad = fill(lambda i: grad(t, step, i), p.shape)
        norm = torch.nn.utils.clip_grad_norm_(list(named.values()), 2.0, foreach=False)
        opt.step()
        steps.append({"norm": norm.item(), "values": [p.detach().flatten().tolist() for p in named.values()]})
    state = {}
    for name, p in named.items():
        for key, x in opt.state[p].items():
            if torch.is_tensor(x) and x.shape == p.shape:
                state[f"{name}.{key}"] = x.flatten().tolist()
    return {"names": list(named), "shapes": [list(p.shape) for p in named.values()], "steps": steps, "state": state}


def fresh():
    return {name: torch.nn.Parameter(fill(lambda i: value(t, i), s)) for t, (name, s) in enumerate(SHAPES.items())}


def matrices_decay(named, decay):
    return [
        {"params": [p for p in named.values() if p.dim() > 1], "weight_decay": decay},
        {"params": [p for p in named.values() if p.dim() == 1], "weight_decay": 0.0},
    ]


def loraplus():
    """A LoRA model of two layers under create_loraplus_optimizer."""

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.q_proj, self.v_proj = torch.nn.Linear(6, 4, bias=False), torch.nn.Linear(6, 5, bias=False)

    model = peft.get_peft_model(Net(), peft.LoraConfig(r=3, target_modules=["q_proj", "v_proj"]))
    opt = create_loraplus_optimizer(
        model, torch.optim.AdamW, lr=1e-2, loraplus_lr_ratio=16.0, loraplus_weight_decay=0.1,
        betas=(0.9, 0.999), eps=1e-8, foreach=False,
    )
    named = {n: p for n, p in model.named_parameters() if p.requires_grad}
    for t, p in enumerate(named.values()):
        p.data = fill(lambda i, t=t: value(t, i), p.shape)
    return follow(named, opt)


torch.set_num_threads(1)
cases = {}
for name, config in {
    "sgd": {},
    "sgd momentum": {"momentum": 0.9},
    "sgd nesterov": {"momentum": 0.9, "nesterov": True},
}.items():
    named = fresh()
    cases[name] = follow(named, torch.optim.SGD(matrices_decay(named, 0.1), lr=1e-2, foreach=False, **config))
named = fresh()
cases["lion"] = follow(named, Lion(matrices_decay(named, 0.1), lr=1e-2, betas=(0.9, 0.99)))
named = fresh()
cases["adamw groups"] = follow(named, torch.optim.AdamW(
    [
        {"params": [named["a.weight"]], "lr": 1e-3, "weight_decay": 0.1},
        {"params": [named["b.weight"]], "lr": 1e-2, "weight_decay": 0.0},
        {"params": [named["c.weight"]], "lr": 5e-3, "weight_decay": 0.5},
    ], betas=(0.9, 0.999), eps=1e-8, foreach=False))
cases["loraplus"] = loraplus()
print(json.dumps({"torch": torch.__version__.split("+")[0], "peft": peft.__version__, "cases": cases}))
