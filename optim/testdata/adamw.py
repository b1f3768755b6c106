# Makes adamw.json: what torch.optim.AdamW and clip_grad_norm_ make of the
# gradients that the test computes by the same formula.
#
#   pip install torch==2.15.0 numpy==2.4.6
#   python adamw.py > adamw.json
import json
import numpy as np
import torch

SHAPES = {"a.weight": (3, 5), "b.weight": (17,), "c.weight": (8, 4)}


def value(tensor, i):
    return np.float32(((i * 37 + tensor * 11) % 101 - 50) / 64)


def grad(tensor, step, i):
    # Step 3 is so large that it is clipped, step 5 so small that epsilon counts.
    size = {3: 64.0, 5: 2.0**-26}.get(step, 1.0)
    return np.float32(((i * 53 + step * 29 + tensor * 7) % 127 - 63) / 256 * size)


def fill(f, shape):
    n = int(np.prod(shape))
    return torch.from_numpy(np.array([f(i) for i in range(n)], dtype=np.float32)).reshape(shape)


torch.set_num_threads(1)
params = [torch.nn.Parameter(fill(lambda i, t=t: value(t, i), s)) for t, s in enumerate(SHAPES.values())]
adamw = torch.optim.AdamW(
    [
        {"params": [p for p in params if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for p in params if p.dim() == 1], "weight_decay": 0.0},
    ],
    lr=1e-2, betas=(0.9, 0.999), eps=1e-8, foreach=False,
)
steps = []
for step in range(10):
    for group in adamw.param_groups:
        group["lr"] = 1e-2 * (1 - step / 20)
    for t, p in enumerate(params):
        p.grad = fill(lambda i: grad(t, step, i), p.shape)
    norm = torch.nn.utils.clip_grad_norm_(params, 2.0, foreach=False)
    adamw.step()
    steps.append({"norm": norm.item(), "values": [p.detach().flatten().tolist() for p in params]})
print(json.dumps({
    "torch": torch.__version__.split("+")[0],
    "steps": steps,
    "exp_avg": [adamw.state[p]["exp_avg"].flatten().tolist() for p in params],
    "exp_avg_sq": [adamw.state[p]["exp_avg_sq"].flatten().tolist() for p in params],
}))
