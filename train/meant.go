package train

import "strings"

// elsewhere are the names that other trainers have for keys of a recipe.
var elsewhere = map[string]string{
	"r": "lora_rank", "lora_r": "lora_rank", "rank": "lora_rank", "lora_dim": "lora_rank", "alpha": "lora_alpha",
	"target_modules": "lora_targets", "lora_target_modules": "lora_targets", "lora_target": "lora_targets",
	"rslora": "use_rslora", "num_layers": "last_layers", "lora_layers": "last_layers", "lora_model_dir": "adapter",
	"adapter_path": "adapter", "resume_adapter_file": "adapter",
	"base_model": "model", "model_name": "model", "model_name_or_path": "model",
	"dataset": "data", "datasets": "data", "dataset_name": "data", "train_file": "data", "train_data": "data",
	"eval_dataset": "eval_data", "test_datasets": "eval_data", "validation_file": "eval_data",
	"output_dir": "output", "num_epochs": "epochs", "num_train_epochs": "epochs", "iters": "max_steps",
	"micro_batch_size": "batch_size", "per_device_train_batch_size": "batch_size", "train_batch_size": "batch_size",
	"gradient_accumulation": "gradient_accumulation_steps", "grad_accumulation_steps": "gradient_accumulation_steps",
	"max_seq_length": "max_length", "max_seq_len": "max_length", "sequence_len": "max_length", "cutoff_len": "max_length",
	"sample_packing": "packing", "lr": "learning_rate", "lr_scheduler": "schedule", "lr_scheduler_type": "schedule", "optim": "optimizer",
	"warmup": "warmup_steps", "grad_clip": "max_grad_norm",
	"grad_checkpoint": "gradient_checkpointing", "steps_per_eval": "eval_steps", "save_every": "save_steps",
	"resume_from_checkpoint": "resume", "save_limit": "save_total_limit",
}

// Meant returns the key of a list that an unknown one may be meant for: by the name
// other trainers have for it, or as the nearest that is at most two letters away. It
// is empty if there is none. Keys are written with _.
func Meant(unknown string, keys []string) string {
	best, least := "", min(2, len(unknown)/3)+1
	for _, key := range keys {
		if key == elsewhere[unknown] {
			return key
		}
		if d := distance(unknown, key); d < least {
			best, least = key, d
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with the next one
// on the way from one text to another, byte by byte.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
