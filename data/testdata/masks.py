# Makes tokenizer/ and masks.json: rows as transformers and TRL tokenise, mask,
# pad and pack them.
#
#   pip install transformers==5.23.0 trl==1.16.0 tokenizers==0.23.3 torch==2.15.0
#   python masks.py        # in this folder
#
# Prompt and completion are tokenised as one string, as TRL does; the rows are
# such that no token crosses the seam, so tokenising them apart must agree.
import json
import pathlib

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from trl.data_utils import pack_dataset
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling
from datasets import Dataset

CHATML = (
    "{%- for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
    "{%- if m['role'] == 'assistant' %}{% generation %}{{ m['content'] + '<|im_end|>' }}{% endgeneration %}"
    "{%- else %}{{ m['content'] + '<|im_end|>' }}{% endif %}{{ '\n' }}{%- endfor %}"
)
ROWS = [
    {"prompt": "What is two and two?", "completion": " Four."},
    {"prompt": "Name a colour:\n", "completion": "blue, or another one"},
    {"prompt": "", "completion": "nothing was asked"},
    {"prompt": "Ends itself:", "completion": " yes<|endoftext|>"},
    {"text": "A text that is learned from its second token on. Größe 10 µm; 你好 🙂\n\n  two lines"},
    {"messages": [{"role": "user", "content": "Who are you?"}, {"role": "assistant", "content": "A small model."}]},
    {"messages": [
        {"role": "system", "content": "Be brief.\nVery."},
        {"role": "user", "content": "  spaces  "},
        {"role": "assistant", "content": "One\n\ntwo"},
        {"role": "tool", "content": "{\"n\": 3}"},
        {"role": "assistant", "content": "three "},
        {"role": "user", "content": "Thanks"},
    ]},
]
TEXTS = [json.dumps(r, ensure_ascii=False) for r in ROWS] * 3


def make_tokenizer(folder):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(TEXTS, trainers.BpeTrainer(
        vocab_size=340, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"]))
    PreTrainedTokenizerFast(
        tokenizer_object=t, eos_token="<|endoftext|>", pad_token="<|pad|>", chat_template=CHATML,
        extra_special_tokens=["<|im_start|>", "<|im_end|>"],
    ).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def encode(tok, row):
    if "messages" in row:
        out = tok.apply_chat_template(row["messages"], tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
        ids, mask = out["input_ids"], out["assistant_masks"]
    elif "text" in row:
        ids = tok(row["text"] + tok.eos_token)["input_ids"]
        mask = [1] * len(ids)
    else:
        end = "" if row["completion"].endswith(tok.eos_token) else tok.eos_token
        prompt = tok(row["prompt"])["input_ids"]
        ids = tok(row["prompt"] + row["completion"] + end)["input_ids"]
        assert ids[: len(prompt)] == prompt
        mask = [0] * len(prompt) + [1] * (len(ids) - len(prompt))
    return {"input_ids": ids, "labels": [i if m else -100 for i, m in zip(ids, mask)]}


tok = make_tokenizer("tokenizer")
examples = [encode(tok, r) for r in ROWS]
padded = DataCollatorForLanguageModeling(pad_token_id=tok.pad_token_id, return_position_ids=True, pad_to_multiple_of=32)(examples)
flat = DataCollatorForLanguageModeling(pad_token_id=tok.pad_token_id, padding_free=True, pad_to_multiple_of=32)(examples)

# How many rows TRL's packing needs ("bfd" is best fit decreasing).
packing = []
for seed, size in [(1, 64), (2, 100), (3, 1024), (4, 33)]:
    lengths = [2 + (i * i * 31 + i * 17 * seed) % (size - 1) for i in range(150 * seed)]
    packed = pack_dataset(Dataset.from_dict({"input_ids": [[0] * n for n in lengths]}), size, "bfd")
    packing.append({"seed": seed, "size": size, "rows": len(packed)})

pathlib.Path("masks.json").write_text(json.dumps({
    "rows": ROWS,
    "padded": {k: padded[k].tolist() for k in ("input_ids", "labels", "position_ids")},
    "flat": {k: flat[k].tolist()[0] for k in ("input_ids", "labels", "position_ids")},
    "packing": packing,
}))
