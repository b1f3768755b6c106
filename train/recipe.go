// Package train tunes models: it turns a recipe into a run folder with metrics,
// checkpoints and a result, and can go on with a run that was stopped or killed.
//
// [Run] does a [Recipe] and [Resume] goes on with a run; an [Observer] is told how it
// goes. For a loop of one's own there are the parts: a [Stepper] takes optimizer
// steps, an [Evaluator] computes losses of held-out data. [AddObjective] adds a way to
// weigh what is learned.
package train

import (
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"gotune/internal/kernel"
	"gotune/lora"
	"gotune/model"
)

// A Recipe says everything about a run. Each field is a key of the YAML file and
// a flag of the commands named in the tag "of"; "help" and "default" are shown.
// Keys are in the spelling of transformers, TRL and PEFT.
//
// A recipe without stages is one stage, whose keys stand beside the others. With
// stages these keys are the defaults of every stage.
type Recipe struct {
	Model   string `yaml:"model" of:"train,lr" help:"folder of the model to tune; base and base-b are embedded" default:"base"`
	Adapter string `yaml:"adapter,omitempty" of:"train,lr" help:"folder of a PEFT adapter to go on with, with its own rank, alpha and targets"`

	PreviousRun string `yaml:"previous_run,omitempty" of:"train" help:"run folder whose optimizer the first stage goes on with, where its previous_optimizer is keep; model and adapter are that run's result"`

	Shape              string   `yaml:"shape,omitempty" of:"pretrain" help:"shape of the new model: a name that gotune init knows, or the path of a config.json"`
	Tokenizer          string   `yaml:"tokenizer,omitempty" of:"pretrain" help:"folder of the tokenizer, base for the embedded one; without one a tokenizer is trained on the data"`
	SpecialTokens      []string `yaml:"special_tokens,omitempty" of:"pretrain" help:"special tokens of a tokenizer that is trained; the first ends texts" default:"<|endoftext|>,<|im_start|>,<|im_end|>,<|pad|>"`
	SaveDType          string   `yaml:"save_dtype,omitempty" of:"train,pretrain" help:"how the weights of a result with all weights are stored: float32, float16 or bfloat16" default:"float32"`
	ChatTemplate       string   `yaml:"chat_template,omitempty" of:"train,pretrain,lr" help:"chat template: a built-in name or the path of a Jinja file; without one the model's own, else chatml"`
	SplitSpecialTokens bool     `yaml:"split_special_tokens" of:"train,pretrain,lr" help:"the text of a control token inside a message is text; without this it is the control token" default:"true"`

	EvalData   Datasets `yaml:"eval_data,omitempty" of:"train,pretrain,lr" help:"held-out data that is evaluated before, on the way and after"`
	RetainData Datasets `yaml:"retain_data,omitempty" of:"train" help:"text whose loss before and after shows what was forgotten"`
	Output     string   `yaml:"output,omitempty" of:"train,pretrain" help:"run folder; runs/<date>-<n> if not given"`
	Allow      []string `yaml:"allow,omitempty" of:"train,pretrain,lr" help:"go on in spite of a finding about the data, by its name, such as no-eos"`

	Stage `yaml:",inline"`

	Seed                  uint64 `yaml:"seed" of:"train,pretrain,lr" help:"names all random numbers of the run" default:"42"`
	Threads               int    `yaml:"threads" of:"train,pretrain,lr" help:"threads; 0 uses all cores. Changes no bit of the result" default:"0" range:"0,1024"`
	BasePrecision         string `yaml:"base_precision" of:"train,lr" help:"how frozen weights are stored: auto as in the file, fp32, bf16, int8 or nf4" default:"auto"`
	Precision             string `yaml:"precision" of:"train,pretrain,lr" help:"arithmetic of the products: fp32, or bf16 with its inputs rounded to 8 bits and float32 sums" default:"fp32"`
	GradientCheckpointing string `yaml:"gradient_checkpointing" of:"train,pretrain,lr" help:"none, or blocks to keep less of the model's blocks and compute them twice, blocks:N for the first N, or auto for as few as fit. Changes no bit" default:"auto"`
	MaxMemory             string `yaml:"max_memory,omitempty" of:"train,pretrain" help:"memory that the run may take, such as 4GiB; with gradient_checkpointing auto it also splits the batch, so that it fits at the least cost in time"`
	ScheduleSpan          string `yaml:"schedule_span" of:"train,pretrain,schedule" help:"stage, or run where one curve of the learning rate goes through all stages" default:"stage"`

	Eval                   bool    `yaml:"eval" of:"train,pretrain" help:"evaluate before and after" default:"true"`
	EvalSteps              int     `yaml:"eval_steps" of:"train,pretrain" help:"steps between evaluations on the way; 0 for five in the run" default:"0" range:"0,2147483647"`
	EvalGenerate           int     `yaml:"eval_generate" of:"train,pretrain" help:"held-out questions that are answered by generation at every evaluation" default:"0" range:"0,1000000"`
	LoadBestModelAtEnd     bool    `yaml:"load_best_model_at_end" of:"train,pretrain" help:"the result is the state with the best evaluation, not the last"`
	MetricForBestModel     string  `yaml:"metric_for_best_model" of:"train,pretrain" help:"what is best: loss, exact_match or generated_match of the held-out data" default:"loss"`
	EarlyStoppingPatience  int     `yaml:"early_stopping_patience" of:"train,pretrain" help:"stop a stage after so many evaluations without a better one; 0 never" default:"0" range:"0,1000000"`
	EarlyStoppingThreshold float64 `yaml:"early_stopping_threshold" of:"train,pretrain" help:"how much better an evaluation has to be to count" default:"0" range:"0,1e9"`
	SaveSteps              int     `yaml:"save_steps" of:"train,pretrain" help:"steps between checkpoints, besides the last step; 0 for that one alone" default:"100" range:"0,2147483647"`
	SaveTotalLimit         int     `yaml:"save_total_limit" of:"train,pretrain" help:"checkpoints that are kept" default:"2" range:"1,1048576"`
	ReportTo               string  `yaml:"report_to" of:"train,pretrain" help:"tensorboard writes event files for TensorBoard beside the metrics, none does not" default:"tensorboard"`

	Stages []Stage `yaml:"stages,omitempty"`
}

// DefaultRecipe returns a recipe with every default.
func DefaultRecipe() Recipe {
	var r Recipe
	v := reflect.ValueOf(&r).Elem()
	for _, f := range Keys() {
		text, ok := f.Tag.Lookup("default")
		if !ok {
			continue
		}
		switch p := v.FieldByIndex(f.Index).Addr().Interface().(type) {
		case *string:
			*p = text
		case *[]string:
			*p = strings.Split(text, ",")
		case *bool:
			*p = text == "true"
		case *int:
			*p, _ = strconv.Atoi(text)
		case *uint64:
			*p, _ = strconv.ParseUint(text, 10, 64)
		case *float64:
			*p, _ = strconv.ParseFloat(text, 64)
		}
	}
	return r
}

// Keys lists the fields of a recipe that are keys, those of the stage included, in
// order, but for the lists of stages and of groups, which have no flag.
func Keys() []reflect.StructField {
	return slices.DeleteFunc(reflect.VisibleFields(reflect.TypeFor[Recipe]()), func(f reflect.StructField) bool {
		return f.Anonymous || f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct && f.Type != reflect.TypeFor[Datasets]()
	})
}

// ofStage reports whether a key belongs to stages.
func ofStage(f reflect.StructField) bool { return len(f.Index) > 1 }

// Override copies the keys for which changed is true from another recipe: to the
// recipe and, where they are keys of a stage, to all its stages.
func (r *Recipe) Override(from *Recipe, changed func(key string) bool) {
	src, dst := reflect.ValueOf(from).Elem(), reflect.ValueOf(r).Elem()
	for _, f := range Keys() {
		if !changed(Key(f)) {
			continue
		}
		dst.FieldByIndex(f.Index).Set(src.FieldByIndex(f.Index))
		if ofStage(f) {
			for i := range r.Stages {
				reflect.ValueOf(&r.Stages[i]).Elem().FieldByIndex(f.Index[1:]).Set(src.FieldByIndex(f.Index))
			}
		}
	}
}

// Pretraining reports whether the recipe makes a new model.
func (r Recipe) Pretraining() bool { return r.Shape != "" }

// WithoutAdapter reports whether every stage trains weights of the model itself, so
// that the keys of adapters mean nothing.
func (r Recipe) WithoutAdapter() bool {
	return !slices.ContainsFunc(r.plan(), func(one Recipe) bool { return !one.Full && !one.Pretraining() })
}

// plan returns a recipe of one stage for each stage.
func (r Recipe) plan() []Recipe {
	if len(r.Stages) == 0 {
		return []Recipe{r}
	}
	var all []Recipe
	for i, s := range r.Stages {
		one := r
		one.Stage, one.Stages = s, nil
		if i > 0 {
			one.Adapter = ""
		}
		all = append(all, one)
	}
	return all
}

func (r Recipe) lora() lora.Config {
	return lora.Config{Rank: r.LoRARank, Alpha: r.LoRAAlpha, Dropout: r.LoRADropout, Targets: r.LoRATargets, RSLoRA: r.UseRSLoRA}
}

// loraFor is the adapter's configuration for a model: the last layers if only
// those are trained, and where the targets are the defaults, those of the model's
// family.
func (r Recipe) loraFor(m *model.Model) lora.Config {
	c := r.lora()
	c.Targets = r.targets(m.Config.ModelType)
	for layer := m.Config.Layers - r.LastLayers; r.LastLayers > 0 && layer < m.Config.Layers; layer++ {
		c.Layers = append(c.Layers, layer)
	}
	return c
}

// targets are the layers that a stage adapts in a family of models, which has its
// own where the stage has the defaults.
func (s Stage) targets(modelType string) []string {
	if slices.Equal(s.LoRATargets, lora.DefaultTargets) {
		return lora.TargetsFor(modelType)
	}
	return s.LoRATargets
}

// arithmetic is how the products are made.
func (r Recipe) arithmetic() kernel.Arithmetic {
	how, _ := kernel.ParseArithmetic(r.Precision) // validated
	return how
}

func (r Recipe) threads() int {
	if r.Threads > 0 {
		return r.Threads
	}
	return runtime.GOMAXPROCS(0)
}
