// Package export writes models for other programs, and proves that they are the model
// that was trained: what was written is read back and its logits after fixed prompts are
// compared with those of the model and adapter in training ([View], [Proof]).
//
// [NewGGUF] writes GGUF files for llama.cpp, with names, layout and metadata as its
// convert_hf_to_gguf gives them; families.go holds one entry for each model_type.
package export
