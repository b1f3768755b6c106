package train

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gotune/data/rows"
	"gotune/internal/kernel"
	"gotune/lora"
	"gotune/lora/prompt"
	"gotune/model"
	"gotune/optim"
	"gotune/schedule"
)

// Validate names the first key whose value cannot be used.
func (r Recipe) Validate() error {
	names := make(map[string]bool)
	for i, one := range r.plan() {
		if err := one.validate(); err != nil {
			if len(r.Stages) > 0 {
				err = fmt.Errorf("stages[%d] (%s): %w", i, one.Name, err)
			}
			return err
		}
		if len(r.Stages) > 0 && one.Name == "" {
			return fmt.Errorf("stages[%d] has no name", i)
		}
		if strings.Trim(one.Name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return fmt.Errorf("stages[%d] is called %q; a name is made of letters, digits, - and _", i, one.Name)
		}
		if names[one.Name] {
			return fmt.Errorf("two stages are called %q", one.Name)
		}
		names[one.Name] = true
	}
	if len(r.Stages) > 0 && r.Pretraining() {
		return fmt.Errorf("a recipe with a shape makes a new model in one stage; put the stages after it into a recipe of their own")
	}
	if err := r.validateOptimizers(); err != nil {
		return err
	}
	if r.Adapter == "" { // whose values would stand for those of the stages
		if err := r.checkVirtual(); err != nil {
			return err
		}
	}
	return r.validateChain()
}

// validateOptimizers checks that what a stage takes over from the optimizer of the
// one before belongs to what it trains, and in the same way. The first of several
// stages has none before it.
func (r Recipe) validateOptimizers() error {
	plan := r.plan()
	switch {
	case r.PreviousRun != "" && plan[0].PreviousOptimizer != "keep":
		return fmt.Errorf("previous_run is given, but previous_optimizer of the first stage is not keep")
	case len(r.Stages) == 0 && r.PreviousOptimizer == "keep" && r.PreviousRun == "":
		return fmt.Errorf("previous_optimizer is keep, but a recipe without stages has no stage before: name the run before by previous_run")
	}
	for i := 1; i < len(plan); i++ {
		before, s := plan[i-1], plan[i]
		if s.PreviousOptimizer != "keep" {
			continue
		}
		wrong := ""
		switch {
		case s.Full != before.Full, !s.Full && s.PreviousAdapter != "keep", s.LastLayers != before.LastLayers:
			wrong = "trains other parameters: give it the same full, last_layers and adapter"
		case !reflect.DeepEqual(s.averages(), before.averages()):
			wrong = "averages in another way: give it the same optimizer, adam_beta1, adam_beta2 and momentum, and what else its averages depend on"
		case before.EMADecay > 0:
			wrong = "begins with the moving average that " + before.Name + " ends with, to which its optimizer does not belong: leave ema_decay out there"
		case r.LoadBestModelAtEnd:
			wrong = "begins with the best state of that stage, whose optimizer is not kept: leave load_best_model_at_end out"
		}
		if wrong != "" {
			return fmt.Errorf("stages[%d] (%s) keeps the optimizer of %s but %s, or set previous_optimizer to fresh", i, s.Name, before.Name, wrong)
		}
	}
	return nil
}

// validateChain checks what a stage takes over from the one before.
func (r Recipe) validateChain() error {
	plan := r.plan()
	for i := 1; i < len(plan); i++ {
		before, s := plan[i-1], plan[i]
		if before.Adapter != "" {
			return nil // whose values stand for those of the stages that keep it
		}
		if s.Full || before.Full || s.PreviousAdapter != "keep" || s.virtual() > 0 {
			continue
		}
		if a, b := before.LoRA, s.LoRA; !reflect.DeepEqual(a, b) {
			return fmt.Errorf("stages[%d] (%s) keeps the adapter of %s but has other lora_* keys, or use_rslora: give it the same ones, or set previous_adapter to merge or fresh", i, s.Name, before.Name)
		}
		if a, b := before.LastLayers, s.LastLayers; a > 0 && (b == 0 || b > a) {
			return fmt.Errorf("stages[%d] (%s) keeps the adapter of %s, which has only the last %d layers: give it last_layers %[4]d or less, or set previous_adapter to merge or fresh", i, s.Name, before.Name, a)
		}
	}
	return nil
}

// validate checks a recipe of one stage.
func (r Recipe) validate() error {
	if _, err := parseCheckpointing(r.GradientCheckpointing); err != nil {
		return err
	}
	if _, err := ParseSize(r.MaxMemory); err != nil {
		return err
	}
	v := reflect.ValueOf(r)
	for _, f := range Keys() {
		if err := checkValue(f, v.FieldByIndex(f.Index)); err != nil {
			return err
		}
	}
	if err := r.checkOptimizer(); err != nil {
		return err
	}
	if r.Optimizer == "muon" && !r.Full && !r.Pretraining() {
		return fmt.Errorf("optimizer muon is for the matrices of a model that is trained in full, not for adapters: set full, or take another optimizer")
	}
	if err := r.validateUse(); err != nil {
		return err
	}
	if err := r.validateData(); err != nil {
		return err
	}
	switch {
	case r.Adapter != "" && r.Full:
		return fmt.Errorf("adapter and full are both given: full tuning has no adapter (merge it first)")
	case r.MaxLength != 0 && r.MaxLength < 3:
		return fmt.Errorf("max_length is %d; a row needs at least 3 tokens", r.MaxLength)
	case r.Epochs == 0 && r.MaxSteps == 0:
		return fmt.Errorf("epochs and max_steps are both 0: there is nothing to do")
	case r.LoadBestModelAtEnd && (len(r.EvalData) == 0 || !r.Eval):
		return fmt.Errorf("load_best_model_at_end needs eval_data, and eval")
	case r.EarlyStoppingPatience > 0 && (len(r.EvalData) == 0 || !r.Eval):
		return fmt.Errorf("early_stopping_patience needs eval_data, and eval")
	case r.MetricForBestModel == "generated_match" && r.EvalGenerate == 0:
		return fmt.Errorf("metric_for_best_model generated_match needs eval_generate, the number of questions")
	}
	if r.Full && r.BasePrecision != "auto" && r.BasePrecision != "fp32" {
		return fmt.Errorf("base_precision is %s, but full trains all weights, which are float32: leave base_precision out", r.BasePrecision)
	}
	if r.Full || r.Pretraining() || r.Adapter != "" {
		return nil
	}
	if r.LastLayers > 0 && len(r.Layers) > 0 {
		return fmt.Errorf("last_layers and layers_to_transform are both given: each says which layers are adapted")
	}
	return r.checkAdapter()
}

// checkValue compares a name with the choices there are, and a number with the tag
// range. A name without a default may be left empty.
func checkValue(f reflect.StructField, v reflect.Value) error {
	_, filled := f.Tag.Lookup("default")
	if names, ok := choices()[Key(f)]; ok && !slices.Contains(names, v.String()) && (filled || v.String() != "") {
		return fmt.Errorf("%s is %q, which is not supported (supported: %s)", Key(f), v.String(), strings.Join(names, ", "))
	}
	text, ok := f.Tag.Lookup("range")
	if !ok {
		return nil
	}
	low, high, _ := strings.Cut(text, ",")
	least, _ := strconv.ParseFloat(low, 64)
	most, _ := strconv.ParseFloat(high, 64)
	var x float64
	if v.CanFloat() {
		x = v.Float()
	} else {
		x = float64(v.Int())
	}
	if !(x >= least && x <= most) {
		return fmt.Errorf("%s is %s; it must be at least %s and at most %s", Key(f), number(x), number(least), number(most))
	}
	return nil
}

// number writes a number for people: a whole one without an exponent.
func number(x float64) string {
	if x == math.Trunc(x) && math.Abs(x) < 1e15 {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// validateUse refuses keys that mean nothing to what the recipe makes, a new model
// or a tuned one, unless they have their defaults. The objective of a new model is
// set by the program.
func (r Recipe) validateUse() error {
	command, other := "train", "it belongs to a recipe with a shape, which makes a new model"
	if r.Pretraining() {
		command, other = "pretrain", "a recipe with a shape makes a new model and trains all its weights"
	}
	plain := DefaultRecipe()
	for _, f := range Keys() {
		if f.Name == "Name" || f.Name == "Objective" || slices.Contains(strings.Split(f.Tag.Get("of"), ","), command) {
			continue
		}
		if differs(f, r, plain) {
			return fmt.Errorf("%s is %v, but has no meaning here: %s", Key(f), reflect.ValueOf(r).FieldByIndex(f.Index), other)
		}
	}
	return nil
}

// differs reports whether two recipes have another value of a key.
func differs(f reflect.StructField, r, other Recipe) bool {
	return !reflect.DeepEqual(reflect.ValueOf(r).FieldByIndex(f.Index).Interface(), reflect.ValueOf(other).FieldByIndex(f.Index).Interface())
}

// choices lists the values of keys that are names.
func choices() map[string][]string {
	return map[string][]string{
		"objective":             ObjectiveNames(),
		"schedule":              schedule.Names(),
		"decay_type":            schedule.DecayTypes(),
		"peft_type":             PEFTTypes(),
		"prompt_tuning_init":    prompt.Inits(),
		"optimizer":             optim.Names(),
		"adjust_lr_fn":          optim.AdjustLRs(),
		"base_precision":        model.Bases(),
		"precision":             kernel.Arithmetics(),
		"schedule_span":         {"stage", "run"},
		"previous_adapter":      {"keep", "merge", "fresh"},
		"previous_optimizer":    {"fresh", "keep"},
		"metric_for_best_model": {"loss", "exact_match", "generated_match"},
		"save_dtype":            {"float32", "bfloat16", "float16"},
		"report_to":             {"tensorboard", "none"},
		"bias":                  lora.Biases,
		"data_format":           rows.Formats(),
		"format":                rows.Formats(),
	}
}
