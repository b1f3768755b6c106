"""Renders, tokenises and masks conversations with transformers, and writes golden.json.

The templates are those in ../builtin, with generation tags put in by hand around
what the assistant writes (MARKED), so that transformers can tell the mask.

Python 3.11+, transformers 5.23.0, tokenizers 0.23.3. Run it in this folder.
"""
import json
import pathlib

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

builtin = pathlib.Path("../builtin")
MARKS = ["<|endoftext|>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
         "<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "[INST]", "[/INST]"]
SPECIALS = {
    "chatml": {}, "qwen": {}, "phi": {"eos_token": "<|endoftext|>"}, "zephyr": {"eos_token": "</s>"},
    "plain": {"bos_token": "<s>", "eos_token": "</s>"}, "llama-2": {"bos_token": "<s>", "eos_token": "</s>"},
    "mistral": {"bos_token": "<s>", "eos_token": "</s>"}, "llama-3": {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
    "gemma": {"bos_token": "<bos>", "eos_token": "<eos>"}, "marked": {"bos_token": "<s>", "eos_token": "</s>"},
}
G, E = "{% generation %}", "{% endgeneration %}"
# In each template: what is replaced, and what with. The end of the turn is inside.
MARKED = {
    "chatml": ["{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}",
               "{{- '<|im_start|>' + message.role + '\\n' }}{% if message.role == 'assistant' %}" + G + "{{- message.content + '<|im_end|>' }}" + E +
               "{% else %}{{- message.content + '<|im_end|>' }}{% endif %}{{- '\\n' }}"],
    "qwen": ["{{- '<|im_start|>' + message.role }}\n        {%- if message.content or not message.tool_calls %}\n            {{- '\\n' + message.content }}\n        {%- endif %}",
             "{{- '<|im_start|>' + message.role + '\\n' }}{% if message.role == 'assistant' %}" + G + "{{- message.content + '<|im_end|>' }}" + E +
             "{% else %}{{- message.content + '<|im_end|>' }}{% endif %}{{- '\\n' }}{% continue %}"],
    "phi": ["{{- '<|' + message.role + '|>\\n' + message.content + '<|end|>\\n' }}",
            "{{- '<|' + message.role + '|>\\n' }}{% if message.role == 'assistant' %}" + G + "{{- message.content + '<|end|>' }}" + E +
            "{% else %}{{- message.content + '<|end|>' }}{% endif %}{{- '\\n' }}"],
    "zephyr": ["{{- '<|' + message.role + '|>\\n' + message.content + eos_token + '\\n' }}",
               "{{- '<|' + message.role + '|>\\n' }}{% if message.role == 'assistant' %}" + G + "{{- message.content + eos_token }}" + E +
               "{% else %}{{- message.content + eos_token }}{% endif %}{{- '\\n' }}"],
    "llama-3": ["{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content | trim + '<|eot_id|>' }}",
                "{{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' }}{% if message.role == 'assistant' %}" + G +
                "{{- message.content | trim + '<|eot_id|>' }}" + E + "{% else %}{{- message.content | trim + '<|eot_id|>' }}{% endif %}"],
    "llama-2": ["{{- ' ' + message.content | trim + ' ' + eos_token }}", G + "{{- ' ' + message.content | trim + ' ' + eos_token }}" + E],
    "mistral": ["{{- ' ' + message.content | trim + eos_token }}", G + "{{- ' ' + message.content | trim + eos_token }}" + E],
    "gemma": ["{{- ns.system + message.content | trim + '<end_of_turn>\\n' }}",
              "{%- if message.role == 'assistant' %}" + G + "{{- message.content | trim + '<end_of_turn>' }}" + E +
              "{% else %}{{- ns.system + message.content | trim + '<end_of_turn>' }}{% endif %}{{- '\\n' }}"],
    "plain": ["{{- message.role | capitalize + ': ' + message.content | trim }}\n    {%- if message.role == 'assistant' %}\n        {{- eos_token }}\n    {%- endif %}",
              "{{- message.role | capitalize + ':' }}{% if message.role == 'assistant' %}" + G + "{{- ' ' + message.content | trim + eos_token }}" + E +
              "{% else %}{{- ' ' + message.content | trim }}{% endif %}"],
}
marked = ("{{ bos_token }}{% for message in messages %}{% if message.role == 'assistant' %}Bot: {% generation %}{{ message.content }}{{ eos_token }}"
          "{% endgeneration %}{{ '\\n' }}{% else %}{{ message.role }}: {{ message.content }}\n{% endif %}{% endfor %}{% if add_generation_prompt %}Bot: {% endif %}")

CHATS = {
    "one turn": [("user", "What is 7 + 5?"), ("assistant", "7 + 5 is 12.")],
    "a system text": [("system", "Answer in one word."), ("user", "The capital of France?"), ("assistant", "Paris")],
    "two turns": [("user", "Hello!"), ("assistant", "Good morning, how are you?"), ("user", "Fine.\nAnd you?"), ("assistant", "Very well.")],
    "three turns and a system text": [("system", "Be kind."), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"), ("user", "e"), ("assistant", "f g")],
    "the same answer twice": [("user", "ok"), ("assistant", "ok"), ("user", "ok"), ("assistant", "ok")],
    "other scripts": [("user", "你好,世界! naïve café 👩‍👩‍👧"), ("assistant", "Привет 🌍, שלום")],
    "lines": [("user", "List:\n- a\n- b"), ("assistant", "```go\nfunc main() {\n\tprintln(1)\n}\n```\n\nDone.")],
    "ends in a question": [("user", "a b c"), ("assistant", "d"), ("user", "last question")],
}

text = pathlib.Path("../../../tokenizer/testdata/train.txt").read_text()
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
                              special_tokens=[AddedToken(m, special=True, normalized=False) for m in MARKS])
tokenizer.train_from_iterator([text], trainer)
tokenizer.save("tokenizer.json", pretty=False)

cases = []
for name, specials in SPECIALS.items():
    source = marked if name == "marked" else (builtin / (name + ".jinja")).read_text()
    with_marks = source
    if name in MARKED:
        assert source.count(MARKED[name][0]) == 1, name
        with_marks = source.replace(*MARKED[name])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **specials)
    for chat, turns in CHATS.items():
        messages = [{"role": r, "content": c} for r, c in turns]
        case = {"template": name, "chat": chat, "messages": messages, "specials": specials}
        if name == "marked":
            case["source"] = source
        case["text"] = fast.apply_chat_template(messages, chat_template=source, tokenize=False)
        case["prompt"] = fast.apply_chat_template(messages, chat_template=source, tokenize=False, add_generation_prompt=True)
        out = fast.apply_chat_template(messages, chat_template=with_marks, return_dict=True, return_assistant_tokens_mask=True)
        assert fast.apply_chat_template(messages, chat_template=with_marks, tokenize=False) == case["text"], (name, chat)
        case["ids"], case["mask"] = list(out["input_ids"]), "".join(map(str, out["assistant_masks"]))
        assert case["ids"] == list(fast.apply_chat_template(messages, chat_template=source, return_dict=True)["input_ids"])
        cases.append(case)
pathlib.Path("golden.json").write_text("[\n" + ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases) + "\n]\n")
