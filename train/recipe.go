// Package train tunes models: it turns a recipe into a run folder with metrics,
// checkpoints and a result, and can go on with a run that was stopped or killed.
//
// [Run] tells the whole story; each of its parts has a file of its own.
package train

import (
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"gotune/data"
	"gotune/lora"
	"gotune/schedule"
)

// A Recipe says everything about a run. Each field is a key of the YAML file and
// a flag of the commands named in the tag "of"; "help" and "default" are shown.
// Keys are in the spelling of transformers, TRL and PEFT.
type Recipe struct {
	Model   string   `yaml:"model" of:"train" help:"folder of the model to tune; base is the embedded one" default:"base"`
	Adapter string   `yaml:"adapter,omitempty" of:"train" help:"folder of a PEFT adapter to go on with, with its own rank, alpha and targets"`
	Data    []string `yaml:"data" of:"train,pretrain" help:"training data: .jsonl or .txt files, or corpora of the toy world such as world:chat"`
	Columns string   `yaml:"columns,omitempty" of:"train,pretrain" help:"which columns to read, such as prompt=question,completion=answer"`

	Shape         string   `yaml:"shape,omitempty" of:"pretrain" help:"shape of the new model: a name that gotune init knows, or the path of a config.json"`
	Tokenizer     string   `yaml:"tokenizer,omitempty" of:"pretrain" help:"folder of the tokenizer; without one a tokenizer is trained on the data"`
	SpecialTokens []string `yaml:"special_tokens,omitempty" of:"pretrain" help:"special tokens of a tokenizer that is trained; the first ends texts" default:"<|endoftext|>,<|im_start|>,<|im_end|>,<|pad|>"`
	SaveDType     string   `yaml:"save_dtype,omitempty" of:"pretrain" help:"how the result's weights are stored: float32 or bfloat16" default:"float32"`

	EvalData   []string `yaml:"eval_data,omitempty" of:"train,pretrain" help:"held-out data that is evaluated before, on the way and after"`
	RetainData []string `yaml:"retain_data,omitempty" of:"train" help:"text whose loss before and after shows what was forgotten"`
	Output     string   `yaml:"output,omitempty" of:"train,pretrain" help:"run folder; runs/<date>-<n> if not given"`
	Objective  string   `yaml:"objective" of:"train" help:"sft learns completions and assistant turns, cpt every token" default:"sft"`

	Full        bool     `yaml:"full" of:"train" help:"train all weights instead of an adapter"`
	LoRARank    int      `yaml:"lora_rank" of:"train" help:"rank of the adapter" default:"8"`
	LoRAAlpha   float64  `yaml:"lora_alpha" of:"train" help:"alpha of the adapter; its update is multiplied by alpha/rank" default:"16"`
	LoRADropout float64  `yaml:"lora_dropout" of:"train" help:"dropout before the adapter" default:"0"`
	LoRATargets []string `yaml:"lora_targets" of:"train" help:"layers that are adapted" default:"q_proj,k_proj,v_proj,up_proj,down_proj"`

	Epochs                    float64 `yaml:"epochs" of:"train,pretrain" help:"passes over the data" default:"3"`
	MaxSteps                  int     `yaml:"max_steps" of:"train,pretrain" help:"optimizer steps, in place of epochs; 0 counts epochs" default:"0"`
	BatchSize                 int     `yaml:"batch_size" of:"train,pretrain" help:"rows of a micro-batch" default:"8"`
	GradientAccumulationSteps int     `yaml:"gradient_accumulation_steps" of:"train,pretrain" help:"micro-batches of an optimizer step" default:"1"`
	MaxLength                 int     `yaml:"max_length" of:"train,pretrain" help:"longest row in tokens; 0 is the model's context, at most 1024" default:"0"`
	Packing                   bool    `yaml:"packing" of:"train,pretrain" help:"put several rows into one, kept apart"`
	Shuffle                   bool    `yaml:"shuffle" of:"train,pretrain" help:"draw a new order of rows for each epoch" default:"true"`

	LearningRate float64 `yaml:"learning_rate" of:"train,pretrain" help:"peak learning rate" default:"0.0002"`
	Schedule     string  `yaml:"schedule" of:"train,pretrain" help:"curve of the learning rate: constant, linear or cosine" default:"cosine"`
	WarmupSteps  int     `yaml:"warmup_steps" of:"train,pretrain" help:"steps from 0 to the peak" default:"0"`
	WarmupRatio  float64 `yaml:"warmup_ratio" of:"train,pretrain" help:"the same as a share of all steps" default:"0.03"`
	MinLRRatio   float64 `yaml:"min_lr_ratio" of:"train,pretrain" help:"floor of the learning rate as a share of the peak" default:"0.1"`
	WeightDecay  float64 `yaml:"weight_decay" of:"train,pretrain" help:"decoupled weight decay of matrices" default:"0"`
	AdamBeta1    float64 `yaml:"adam_beta1" of:"train,pretrain" help:"decay of AdamW's first average" default:"0.9"`
	AdamBeta2    float64 `yaml:"adam_beta2" of:"train,pretrain" help:"decay of AdamW's second average" default:"0.999"`
	AdamEpsilon  float64 `yaml:"adam_epsilon" of:"train,pretrain" help:"added to the root in AdamW" default:"1e-08"`
	MaxGradNorm  float64 `yaml:"max_grad_norm" of:"train,pretrain" help:"largest global norm of the gradients; 0 does not clip" default:"1"`

	Seed                  uint64 `yaml:"seed" of:"train,pretrain" help:"names all random numbers of the run" default:"42"`
	Threads               int    `yaml:"threads" of:"train,pretrain" help:"threads; 0 uses all cores. Changes no bit of the result" default:"0"`
	BasePrecision         string `yaml:"base_precision" of:"train" help:"how frozen weights are held: auto or fp32" default:"auto"`
	Precision             string `yaml:"precision" of:"train,pretrain" help:"arithmetic of the products: fp32" default:"fp32"`
	GradientCheckpointing string `yaml:"gradient_checkpointing" of:"train,pretrain" help:"none, or blocks to keep less and compute blocks twice. Changes no bit" default:"none"`

	Eval           bool `yaml:"eval" of:"train,pretrain" help:"evaluate before and after" default:"true"`
	EvalSteps      int  `yaml:"eval_steps" of:"train,pretrain" help:"steps between evaluations on the way; 0 for five in the run" default:"0"`
	SaveSteps      int  `yaml:"save_steps" of:"train,pretrain" help:"steps between checkpoints, besides the last step; 0 for that one alone" default:"100"`
	SaveTotalLimit int  `yaml:"save_total_limit" of:"train,pretrain" help:"checkpoints that are kept" default:"2"`
}

// DefaultRecipe returns a recipe with every default.
func DefaultRecipe() Recipe {
	var r Recipe
	v := reflect.ValueOf(&r).Elem()
	for i := range v.NumField() {
		text, ok := v.Type().Field(i).Tag.Lookup("default")
		if !ok {
			continue
		}
		switch f := v.Field(i).Addr().Interface().(type) {
		case *string:
			*f = text
		case *[]string:
			*f = strings.Split(text, ",")
		case *bool:
			*f = text == "true"
		case *int:
			*f, _ = strconv.Atoi(text)
		case *uint64:
			*f, _ = strconv.ParseUint(text, 10, 64)
		case *float64:
			*f, _ = strconv.ParseFloat(text, 64)
		}
	}
	return r
}

// Pretraining reports whether the recipe makes a new model.
func (r Recipe) Pretraining() bool { return r.Shape != "" }

func (r Recipe) lora() lora.Config {
	return lora.Config{Rank: r.LoRARank, Alpha: r.LoRAAlpha, Dropout: r.LoRADropout, Targets: r.LoRATargets}
}

func (r Recipe) threads() int {
	if r.Threads > 0 {
		return r.Threads
	}
	return runtime.GOMAXPROCS(0)
}

func (r Recipe) schedule(steps int) (*schedule.Schedule, error) {
	ratio := r.WarmupRatio
	if r.WarmupSteps > 0 {
		ratio = 0 // as in transformers, steps win over the ratio
	}
	return schedule.New(schedule.Config{
		Name: r.Schedule, Steps: steps, WarmupSteps: r.WarmupSteps, WarmupRatio: ratio,
		Peak: r.LearningRate, MinRatio: r.MinLRRatio,
	})
}

// Validate names the first key whose value cannot be used.
func (r Recipe) Validate() error {
	if err := r.validateNames(); err != nil {
		return err
	}
	for _, k := range []struct {
		key       string
		value     float64
		low, high float64
	}{
		{"epochs", r.Epochs, 0, 1e6}, {"max_steps", float64(r.MaxSteps), 0, math.MaxInt32},
		{"batch_size", float64(r.BatchSize), 1, 1 << 20},
		{"gradient_accumulation_steps", float64(r.GradientAccumulationSteps), 1, 1 << 20},
		{"max_length", float64(r.MaxLength), 0, 1 << 20}, {"learning_rate", r.LearningRate, 0, 1e3},
		{"warmup_steps", float64(r.WarmupSteps), 0, math.MaxInt32}, {"warmup_ratio", r.WarmupRatio, 0, 1},
		{"min_lr_ratio", r.MinLRRatio, 0, 1}, {"weight_decay", r.WeightDecay, 0, 1e3},
		{"adam_beta1", r.AdamBeta1, 0, 1 - 1e-12}, {"adam_beta2", r.AdamBeta2, 0, 1 - 1e-12},
		{"adam_epsilon", r.AdamEpsilon, 0, 1}, {"max_grad_norm", r.MaxGradNorm, 0, 1e9},
		{"threads", float64(r.Threads), 0, 1024}, {"eval_steps", float64(r.EvalSteps), 0, math.MaxInt32},
		{"save_steps", float64(r.SaveSteps), 0, math.MaxInt32}, {"save_total_limit", float64(r.SaveTotalLimit), 1, 1 << 20},
	} {
		if !(k.value >= k.low && k.value <= k.high) {
			return fmt.Errorf("%s is %g; it must be at least %g and at most %g", k.key, k.value, k.low, k.high)
		}
	}
	if r.MaxLength != 0 && r.MaxLength < 3 {
		return fmt.Errorf("max_length is %d; a row needs at least 3 tokens", r.MaxLength)
	}
	if r.Epochs == 0 && r.MaxSteps == 0 {
		return fmt.Errorf("epochs and max_steps are both 0: there is nothing to do")
	}
	if r.Full || r.Pretraining() || r.Adapter != "" {
		return nil
	}
	return r.lora().Validate()
}

func (r Recipe) validateNames() error {
	for _, k := range []struct {
		key, value string
		allowed    []string
	}{
		{"objective", r.Objective, objectiveNames()}, {"schedule", r.Schedule, schedule.Names()},
		{"base_precision", r.BasePrecision, []string{"auto", "fp32"}}, {"precision", r.Precision, []string{"fp32"}},
		{"gradient_checkpointing", r.GradientCheckpointing, []string{"none", "blocks"}},
		{"save_dtype", r.SaveDType, []string{"float32", "bfloat16"}},
	} {
		if !slices.Contains(k.allowed, k.value) {
			return fmt.Errorf("%s is %q, which is not supported (supported: %s)", k.key, k.value, strings.Join(k.allowed, ", "))
		}
	}
	if len(r.Data) == 0 {
		return fmt.Errorf("data is missing: name a file, or a corpus such as world:chat")
	}
	if r.Adapter != "" && r.Full {
		return fmt.Errorf("adapter and full are both given: full tuning has no adapter (merge it first)")
	}
	if _, err := data.ParseColumns(r.Columns); err != nil {
		return fmt.Errorf("columns: %w", err)
	}
	return nil
}
